package sender

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	standard := NewGuard(nil, nil)
	private := NewGuard(nil, prefixes("10.0.0.0/8", "127.0.0.0/8", "::1/128", "fd00::/8"))
	opened := NewGuard(prefixes("169.254.169.254/32", "10.1.0.0/16", "2002:a9fe::/32"), prefixes("10.0.0.0/8"))
	mapped := NewGuard(nil, prefixes("::ffff:10.0.0.0/104"))
	for _, tc := range []struct {
		guard *Guard
		addr  string
		ok    bool
	}{
		{standard, "93.184.216.34", true},
		{standard, "2606:2800:220:1::1", true},
		{standard, "127.0.0.1", true},
		{standard, "::1", true},
		{standard, "10.0.0.1", true},
		{standard, "192.168.1.1", true},
		{standard, "fd12::1", true},
		{standard, "0.0.0.0", false},
		{standard, "0.1.2.3", false},
		{standard, "::", false},
		{standard, "169.254.169.254", false},
		{standard, "169.254.0.1", false},
		{standard, "fe80::1", false},
		{standard, "fe80::1%eth0", false},
		{standard, "febf::1", false},
		{standard, "224.0.0.1", false},
		{standard, "239.255.255.255", false},
		{standard, "255.255.255.255", false},
		{standard, "ff02::1", false},
		{standard, "ff02::1%lo", false},
		{standard, "fd00:ec2::254", false},
		{standard, "fd20:ce::254", false},
		{standard, "100.100.100.200", false},
		{standard, "168.63.129.16", false},
		{standard, "192.0.0.192", false},
		{standard, "::ffff:169.254.169.254", false},      // mapped
		{standard, "::ffff:169.254.169.254%eth0", false}, // mapped, with a zone
		{standard, "::ffff:93.184.216.34", true},
		{standard, "::169.254.169.254", false}, // compatible
		{standard, "2002:a9fe:a9fe::1", false}, // 6to4
		{standard, "2002:5db8:d822::1", true},
		{standard, "64:ff9b::a9fe:a9fe", false}, // NAT64
		{standard, "64:ff9b::169.254.169.254", false},
		{standard, "64:ff9b:1::a9fe:a9fe", false}, // NAT64, local prefix
		{standard, "64:ff9b::5db8:d822", true},
		{standard, "2001:0:53aa:64c:0:fbff:5601:5601", false}, // Teredo: ^5601:5601 = 169.254.169.254
		{private, "10.9.9.9", false},
		{private, "::ffff:10.9.9.9", false},
		{private, "64:ff9b::a09:909", false},
		{private, "2002:a09:909::", false},
		{private, "127.0.0.1", false},
		{private, "::1", false},
		{private, "11.0.0.1", true},
		{private, "fd12::1", false},
		{opened, "169.254.169.254", true},
		{opened, "169.254.169.253", false},
		{opened, "10.1.2.3", true},
		{opened, "10.2.2.3", false},
		{opened, "::ffff:10.1.2.3", true},
		{opened, "64:ff9b::a01:203", true},
		{opened, "64:ff9b::a02:203", false},
		{opened, "2002:a9fe:a9fe::1", true}, // allowed as it stands
		{mapped, "10.9.9.9", false},
		{mapped, "11.9.9.9", true},
	} {
		if err := tc.guard.Check(netip.MustParseAddr(tc.addr)); (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want allowed: %t", tc.addr, err, tc.ok)
		}
	}
	if standard.Check(netip.Addr{}) == nil {
		t.Error("no address at all is allowed")
	}
}

func FuzzGuardSeesThroughEmbedding(f *testing.F) {
	f.Add([]byte{169, 254, 169, 254})
	f.Add([]byte{93, 184, 216, 34})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 4 {
			return
		}
		guard := NewGuard(nil, nil)
		plain := netip.AddrFrom4([4]byte(b))
		if guard.Check(plain) == nil {
			return
		}
		for prefix, at := range map[string]int{"::ffff:0:0": 12, "64:ff9b::": 12, "64:ff9b:1::": 12, "2002::": 2} {
			wide := netip.MustParseAddr(prefix).As16()
			copy(wide[at:], b)
			if addr := netip.AddrFrom16(wide); guard.Check(addr) == nil {
				t.Errorf("%s is denied, but %s is not", plain, addr)
			}
		}
	})
}

// nameServer answers A queries over in-memory connections; answers gives the addresses for the nth query.
func nameServer(answers func(query int64) []string) *net.Resolver {
	var queries atomic.Int64
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe() // not a packet connection: the resolver speaks DNS over TCP
		go func() {
			defer func() { _ = there.Close() }()
			var length [2]byte
			if _, err := there.Read(length[:]); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := there.Read(query); err != nil {
				return
			}
			var addrs []string
			if end := 12 + strings.IndexByte(string(query[12:]), 0); query[end+2] == 1 { // type A
				addrs = answers(queries.Add(1))
			}
			reply := dnsReply(query, addrs)
			_, _ = there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
		}()
		return here, nil
	}}
}

// nowhere knows no host.
func nowhere(int64) []string { return nil }

func dnsReply(query []byte, addrs []string) []byte {
	end := 12 + strings.IndexByte(string(query[12:]), 0) + 5 // header, name, type and class
	reply := append([]byte(nil), query[:end]...)
	reply[2], reply[3] = 0x81, 0x80 // a response without error
	binary.BigEndian.PutUint16(reply[6:], uint16(len(addrs)))
	binary.BigEndian.PutUint32(reply[8:], 0) // no further sections
	for _, text := range addrs {
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name, A, IN, TTL 0, 4 bytes
		reply = append(reply, netip.MustParseAddr(text).AsSlice()...)
	}
	return reply
}

func TestGuardSeesWhatIsDialled(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	_, closed, _ := strings.Cut(strings.TrimPrefix(unused(t), "http://"), ":")
	guard := NewGuard(nil, prefixes("127.0.0.2/32", "127.0.0.3/32"))
	const good, bad, bad2 = "127.0.0.1", "127.0.0.2", "127.0.0.3"
	for _, tc := range []struct {
		name    string
		answers []string
		port    string
		verdict Verdict
		class   Class
	}{
		{"allowed", []string{good}, port, Delivered, ClassOK},
		{"denied", []string{bad}, port, Rejected, ClassEgress},
		{"all denied", []string{bad, bad2}, port, Rejected, ClassEgress},
		{"mixed, denied first", []string{bad, good}, port, Delivered, ClassOK},
		{"mixed, allowed first", []string{good, bad}, port, Delivered, ClassOK},
		{"mixed, and the allowed one fails", []string{bad, good}, closed, Retry, ClassUnreachable},
		{"no address", nowhere(0), port, Retry, ClassDNS},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolver := nameServer(func(int64) []string { return tc.answers })
			e := open(t, Options{Guard: guard}, wiring{resolver: resolver})
			before := requests.Load()
			o := e.Send(t.Context(), post("http://rebind.walpost.test.:"+tc.port))
			if o.Verdict != tc.verdict || o.Class != tc.class {
				t.Errorf("got %s, %s (%v); want %s, %s", o.Verdict, o.Class, o.Err, tc.verdict, tc.class)
			}
			if sent := requests.Load() - before; (sent == 1) != (tc.verdict == Delivered) {
				t.Errorf("the receiver got %d requests", sent)
			}
		})
	}
	t.Run("rebinding", func(t *testing.T) {
		resolver := nameServer(func(query int64) []string {
			if query == 1 {
				return []string{good}
			}
			return []string{bad}
		})
		e := open(t, Options{Guard: guard}, wiring{resolver: resolver})
		url := "http://rebind.walpost.test.:" + port
		expect(t, e.Send(t.Context(), post(url)), Delivered, ClassOK, 200)
		e.Close() // so that the name is resolved again
		expect(t, e.Send(t.Context(), post(url)), Rejected, ClassEgress, 0)
	})
}
