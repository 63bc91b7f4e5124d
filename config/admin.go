package config

import (
	"net"
	"net/netip"
	"strconv"
)

// Admin is the listener of the admin API: health, status and reload.
type Admin struct {
	Listen string // host:port
	Token  Secret // bearer token; empty only where Listen is a loopback address
}

func (l *loader) decodeAdmin() {
	b := l.one("admin")
	if b == nil {
		return
	}
	listen, listenOK := b.text("listen", "127.0.0.1:8710")
	token, _ := b.secret("token")
	l.owner = "walpost_admin"
	b.checkLiteral("token", "admin")
	l.config.Admin = &Admin{Listen: listen.value, Token: token.value}
	if !listenOK {
		return
	}
	host, port, err := net.SplitHostPort(listen.value)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
		b.fail(listen.at, `Invalid "listen"`, `It must be a host and a port, such as "127.0.0.1:8710" or ":8710".`)
		return
	}
	if b.argument("token") == nil && !isLoopback(host) {
		b.fail(listen.at, `Missing argument "token"`,
			"Others than this machine can reach this address, so that a token is needed. Write: token = env(\"WALPOST_ADMIN_TOKEN\"), or listen on \"127.0.0.1:%s\".", port)
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
