rules = "none"

database {
  url = "host=localhost dbname=app"
}

webhook "first" {
  topics = ["*"]
  url    = "https://a.example/"
}
