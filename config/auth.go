package config

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// AuthKind is the way in which a webhook proves who it is.
type AuthKind string

const (
	// AuthOAuth2 gets tokens for client credentials (RFC 6749, section 4.4).
	AuthOAuth2 AuthKind = "oauth2"
	// AuthJWTBearer gets tokens for a signed assertion (RFC 7523, section 2.1).
	AuthJWTBearer AuthKind = "jwt_bearer"
	// AuthBasic sends a user name and a password (RFC 7617).
	AuthBasic AuthKind = "basic"
	// AuthBearer sends a token that doesn't change (RFC 6750).
	AuthBearer AuthKind = "bearer"
)

// Auth is a webhook's `auth` block. Kind says which fields have a meaning. Formatting it
// or encoding it as JSON shows Kind alone, as env() may have given any of it.
type Auth struct {
	Kind AuthKind

	Username string `json:"-"` // basic
	Password Secret `json:"-"` // basic
	Token    Secret `json:"-"` // bearer

	TokenURL     string            `json:"-"` // oauth2, jwt_bearer
	ClientID     string            `json:"-"` // oauth2
	ClientSecret Secret            `json:"-"` // oauth2
	Scopes       []string          `json:"-"` // oauth2, jwt_bearer
	Params       map[string]string `json:"-"` // oauth2, jwt_bearer: more of the token request's form

	Issuer     string `json:"-"` // jwt_bearer: iss
	Subject    string `json:"-"` // jwt_bearer: sub
	Audience   string `json:"-"` // jwt_bearer: aud; default TokenURL
	PrivateKey Secret `json:"-"` // jwt_bearer: an RSA key, PEM

	DeclRange hcl.Range `json:"-"`
}

// Format writes the kind, for every verb; see Config.Format for why.
func (a Auth) Format(f fmt.State, _ rune) {
	// fmt keeps the first write error itself.
	_, _ = fmt.Fprintf(f, "auth %q", string(a.Kind))
}

// auth reads the webhook's `auth` block, whose label is the kind.
func (b *block) auth(w *Webhook) *Auth {
	c := b.nested("auth")
	if c == nil {
		return nil
	}
	auth := &Auth{Kind: AuthKind(c.name), DeclRange: c.src.DefRange()}
	// An argument that the kind doesn't have is not among these, and was reported.
	password, _ := c.secretOrEmpty("password") // some APIs take a key as the user name, and no password
	auth.Username, auth.Password = c.hiddenText("username"), password.value
	auth.Token = Secret(c.hiddenText("token"))
	auth.TokenURL = c.tokenURL()
	auth.ClientID, auth.ClientSecret = c.hiddenText("client_id"), Secret(c.hiddenText("client_secret"))
	auth.Scopes = c.scopes()
	auth.Params = c.tokenParams()
	auth.Issuer, auth.Subject = c.hiddenText("issuer"), c.hiddenText("subject")
	if auth.Audience = c.hiddenText("audience"); auth.Audience == "" {
		auth.Audience = auth.TokenURL
	}
	auth.PrivateKey = c.privateKey()
	for _, argument := range []string{"password", "token", "client_secret", "private_key"} {
		c.checkLiteral(argument, "auth")
	}
	b.checkAuthorization(w)
	return auth
}

// hiddenText reads an argument that takes secrets, as text.
func (b *block) hiddenText(argument string) string {
	value, _ := b.secret(argument)
	return value.value.Reveal()
}

func (b *block) tokenURL() string {
	value, ok := b.secret("token_url")
	if !ok {
		return ""
	}
	if why := urlProblem(value.value.Reveal()); why != "" {
		b.failSecret(value.at, `Invalid "token_url"`, "%s Write for example: token_url = \"https://login.example.com/oauth2/token\"", why)
		return ""
	}
	return value.value.Reveal()
}

func (b *block) scopes() []string {
	scopes, _, _ := list(b, "scopes", `a list of scopes, such as ["contacts.write"]`, func(expr hclsyntax.Expression) (string, bool) {
		return b.loader.text(expr, "scopes", `scopes in quotes, such as "contacts.write"`)
	})
	return valuesOf(scopes)
}

// tokenParams reads `params`, an object of strings, which may be secret.
func (b *block) tokenParams() map[string]string {
	attr := b.argument("params")
	if attr == nil {
		return nil
	}
	value, ok := b.constant(attr.Expr, "params")
	if !ok {
		return nil
	}
	value, _ = value.UnmarkDeep()
	need := `an object of strings, such as { resource = "https://api.example.com" }`
	if !isObject(value.Type()) {
		b.wrongType(attr.Expr.Range(), "params", value, need)
		return nil
	}
	params := map[string]string{}
	for name, v := range value.AsValueMap() {
		if v.IsNull() || v.Type() != cty.String {
			at, what := b.placeOf("params", name)
			b.wrongType(at, what, v, "a string")
			continue
		}
		params[name] = v.AsString()
	}
	return params
}

// privateKey reads an RSA key, as PEM of PKCS #1 or #8.
func (b *block) privateKey() Secret {
	value, ok := b.secret("private_key")
	if !ok {
		return ""
	}
	if why := keyProblem(value.value.Reveal()); why != "" {
		b.failSecret(value.at, `Invalid "private_key"`,
			"It must be an RSA key in PEM form, such as file(\"crm.pem\"). %s Make one with: openssl genrsa -out crm.pem 2048", why)
		return ""
	}
	return value.value
}

// keyProblem says why a text is no RSA key to sign with; "" if it is one.
func keyProblem(text string) string {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "There is no \"-----BEGIN …\" block in it."
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return ""
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if _, isRSA := key.(*rsa.PrivateKey); err != nil || !isRSA {
		return "The block in it is no RSA private key, or is encrypted."
	}
	return ""
}

// checkAuthorization reports a header that auth would overwrite; one of `defaults` gives
// way without a word.
func (b *block) checkAuthorization(w *Webhook) {
	if attr := b.argument("headers"); attr != nil {
		if at, there := itemNamed(attr.Expr, "Authorization"); there {
			b.fail(at, "Both auth and an Authorization header", "The auth block makes this header. Leave one of the two out.")
		}
	}
	w.Headers = slices.DeleteFunc(slices.Clone(w.Headers), isAuthorization)
}

// itemNamed returns the place of a name in an object that is written out, whatever its
// case.
func itemNamed(expr hclsyntax.Expression, name string) (hcl.Range, bool) {
	object, ok := expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return hcl.Range{}, false
	}
	for _, item := range object.Items {
		if strings.EqualFold(hcl.ExprAsKeyword(item.KeyExpr), name) {
			return item.KeyExpr.Range(), true
		}
		if key, diags := item.KeyExpr.Value(nil); !diags.HasErrors() && key.Type() == cty.String && key.IsKnown() &&
			!key.IsNull() && strings.EqualFold(key.AsString(), name) {
			return item.KeyExpr.Range(), true
		}
	}
	return hcl.Range{}, false
}

func isAuthorization(p Param) bool { return strings.EqualFold(p.Name, "Authorization") }
