envoy_on_request = authorize
