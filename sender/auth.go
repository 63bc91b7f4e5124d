package sender

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// AuthKind is how an endpoint proves who it is.
type AuthKind string

// The kinds of [AuthOptions].
const (
	// AuthBasic sends Username and Password (RFC 7617).
	AuthBasic AuthKind = "basic"
	// AuthBearer sends Token (RFC 6750).
	AuthBearer AuthKind = "bearer"
	// AuthOAuth2 sends a token got for client credentials (RFC 6749 §4.4).
	AuthOAuth2 AuthKind = "oauth2"
	// AuthJWTBearer sends a token got for a signed assertion (RFC 7523 §2.1).
	AuthJWTBearer AuthKind = "jwt_bearer"
)

// AuthOptions say what the Authorization header of each request is. Which fields count depends on Kind.
//
// A token is kept until shortly before it expires (an hour, if its answer doesn't say), and is renewed when the receiver
// answers 401: the request is then repeated once, at once, in the same attempt. No token, for whatever reason, is
// [ClassAuth] and a retry. Of a token endpoint's answer access_token, token_type and expires_in are read, with
// jwt_bearer the expiry of an id_token too; Salesforce's instance_url is not: webhooks name their domain.
type AuthOptions struct {
	Kind AuthKind
	// Username and Password are for basic.
	Username, Password string
	// Token is for bearer.
	Token string
	// TokenURL is where oauth2 and jwt_bearer get tokens; http or https. It is asked through the same guard, with the same
	// timeout and limits as a receiver, and not followed elsewhere.
	TokenURL string
	// ClientID and ClientSecret are for oauth2. They are sent by basic authentication, or in the form if that is refused.
	ClientID, ClientSecret string
	// Scopes are asked for by oauth2 and jwt_bearer, which need none.
	Scopes []string
	// Params are further parameters of oauth2's token request, e.g. audience.
	Params map[string]string
	// Issuer, Subject and Audience are the claims iss, sub and aud of jwt_bearer's assertion. Without an Audience it is the
	// TokenURL.
	Issuer, Subject, Audience string
	// PrivateKey signs the assertion (RS256): RSA, at least 2048 bits, PEM, PKCS #8 or PKCS #1, not encrypted.
	PrivateKey string
}

// minKeyBits is by RFC 7518 §3.3.
const minKeyBits = 2048

// validate reports every problem, never showing a secret.
func (o *AuthOptions) validate() error {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf("auth: "+format, args...)) }
	required := func(name, value string) {
		if value == "" {
			report("%s is empty", name)
		}
	}
	switch o.Kind {
	case AuthBasic:
		required("username", o.Username)
		if strings.Contains(o.Username, ":") {
			report("username has a colon, which basic authentication can't carry")
		}
	case AuthBearer:
		required("token", o.Token)
		if !isToken(o.Token) {
			report("token has a space, a line break or another character that no token has")
		}
	case AuthOAuth2:
		required("client_id", o.ClientID)
		for _, name := range []string{"client_id", "client_secret", "scope"} {
			if _, ok := o.Params[name]; ok {
				report("params has %s, which is a setting of its own", name)
			}
		}
	case AuthJWTBearer:
		required("issuer", o.Issuer)
		required("subject", o.Subject)
		if err := validKey(o.PrivateKey); err != nil {
			report("private_key %w", err)
		}
	default:
		report("kind %q is not basic, bearer, oauth2 or jwt_bearer", o.Kind)
	}
	if o.Kind == AuthOAuth2 || o.Kind == AuthJWTBearer {
		u, err := url.Parse(o.TokenURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			report("token_url is not a http or https URL with a host")
		} else if u.User != nil {
			report("token_url has user info, which is what client_id and client_secret are for")
		}
	}
	return errors.Join(problems...)
}

func validKey(text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("is not PEM, which begins with a line of its own: -----BEGIN PRIVATE KEY-----")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return errors.New("is PEM, but neither a PKCS #8 nor a PKCS #1 key; an encrypted one has to be decrypted first")
		}
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return errors.New("is not an RSA key")
	}
	if bits := key.N.BitLen(); bits < minKeyBits {
		return fmt.Errorf("has %d bits, and RS256 needs at least %d", bits, minKeyBits)
	}
	return nil
}

// isToken says whether s can stand in a header as a token: visible ASCII alone.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
