webhook "crm" {
  topics = ["*"]
  url    = "https://crm.example/"
  headers = {
    A = env("UNSET")               # want "Missing environment variable.*UNSET is not set"
    B = env(event.id)              # want "env\(\) needs a name in quotes"
    C = file("no-such-file")       # want "Unreadable file.*no-such-file.*no such file"
    D = file(".")                  # want "Unreadable file.*is not a file"
    E = env()                      # want "Not enough function arguments"
    F = env("UNSET", "a", "b")     # want "at most one default"
    G = env("BINARY")              # want "BINARY holds no UTF-8 text"
    H = file("binary")             # want "binary is not UTF-8 text"
    I = [for k in ["A"] : env(k)]  # want "env\(\) needs a name in quotes"
  }
}

admin {
  listen = "127.0.0.1:0"
  token  = env("EMPTY") # want "Empty \"token\""
}
