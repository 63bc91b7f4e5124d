webhook "second" {
  topics = ["invoice.*"]
  url    = "https://b.example/"
}
