-- expect: Raised | Ok | BodyNotJson | CpuBudget
return input.json("$" .. string.rep("..*", 500))
