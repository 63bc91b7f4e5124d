webhook "crm" {
  topics          = ["*"]
  url             = "https://crm.example/"
  concurrency_max = 10 # want "\"concurrency_max\" without \"auto\".*concurrency = 10 alone"
}
