package config

// Admin is the listener of the admin API, dashboard, health and metrics.
type Admin struct {
	Listen string // host:port
	Token  Secret // bearer token; empty only where Listen is a loopback address
}
