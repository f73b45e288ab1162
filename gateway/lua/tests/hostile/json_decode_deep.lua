-- expect: Raised
return json.decode(string.rep("[", 1000000))
