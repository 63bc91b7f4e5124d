package config

import (
	"crypto/md5"  // #nosec G501 -- vendors ask for it, e.g. Mailchimp's subscriber hash
	"crypto/sha1" // #nosec G505 -- likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// The functions that go-cty's standard library doesn't have, or has with another
// behaviour than Terraform's function of the same name.

var (
	startsWith  = stringTest("prefix", strings.HasPrefix)
	endsWith    = stringTest("suffix", strings.HasSuffix)
	strContains = stringTest("substr", strings.Contains)

	allTrue = boolFold(true)
	anyTrue = boolFold(false)

	base64Encode = textFunction(func(s string) (string, error) { return inBase64([]byte(s)), nil })
	urlEncode    = textFunction(func(s string) (string, error) { return url.QueryEscape(s), nil })
	base64Decode = textFunction(decodeBase64)
)

// replace also takes a regular expression, between slashes, as Terraform's does.
var replace = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "string", Type: cty.String},
		{Name: "substring", Type: cty.String},
		{Name: "replacement", Type: cty.String},
	},
	Type:         function.StaticReturnType(cty.String),
	RefineResult: notNull,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		text, search, with := args[0].AsString(), args[1].AsString(), args[2].AsString()
		if len(search) > 1 && search[0] == '/' && search[len(search)-1] == '/' {
			re, err := regexp.Compile(search[1 : len(search)-1])
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(1, "not a regular expression")
			}
			return cty.StringVal(re.ReplaceAllString(text, with)), nil
		}
		return cty.StringVal(strings.ReplaceAll(text, search, with)), nil
	},
})

// length also counts a string's characters and an object's attributes.
var length = function.New(&function.Spec{
	Params: []function.Parameter{{
		Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowUnknown: true,
	}},
	Type: func(args []cty.Value) (cty.Type, error) {
		switch ty := args[0].Type(); {
		case ty == cty.String, ty == cty.DynamicPseudoType, ty.IsCollectionType(), ty.IsTupleType(), ty.IsObjectType():
			return cty.Number, nil
		default:
			return cty.NilType, function.NewArgErrorf(0, "a list, map, object or string is needed, not a %s", ty.FriendlyName())
		}
	},
	RefineResult: notNull,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		switch value := args[0]; {
		case value.Type() == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number), nil
		case value.Type() == cty.String:
			return stdlib.Strlen(value)
		case value.Type().IsObjectType():
			return cty.NumberIntVal(int64(len(value.Type().AttributeTypes()))), nil
		default:
			return value.Length(), nil
		}
	},
})

// coalesce also passes over empty strings, as Terraform's does.
var coalesce = function.New(&function.Spec{
	VarParam: &function.Parameter{
		Name: "values", Type: cty.DynamicPseudoType,
		AllowNull: true, AllowUnknown: true, AllowDynamicType: true,
	},
	// Unlike Terraform's it doesn't make the arguments one type, so that what it
	// returns doesn't depend on those that it passes over.
	Type: func(args []cty.Value) (cty.Type, error) {
		if len(args) == 0 {
			return cty.NilType, fmt.Errorf("at least one argument is needed")
		}
		if value, known := firstPresent(args); known {
			return value.Type(), nil
		}
		return cty.DynamicPseudoType, nil
	},
	Impl: func(args []cty.Value, want cty.Type) (cty.Value, error) {
		value, known := firstPresent(args)
		if !known {
			return cty.UnknownVal(want), nil
		}
		return value, nil
	},
})

// firstPresent returns what coalesce returns; known is false if that isn't decided
// yet. If there is nothing, that is null.
func firstPresent(values []cty.Value) (value cty.Value, known bool) {
	for _, value := range values {
		switch {
		case !value.IsKnown():
			return cty.NilVal, false
		case value.IsNull(), value.Type() == cty.String && value.AsString() == "":
		default:
			return value, true
		}
	}
	return cty.NullVal(cty.DynamicPseudoType), true
}

func stringTest(operand string, test func(s, operand string) bool) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{{Name: "string", Type: cty.String}, {Name: operand, Type: cty.String}},
		Type:         function.StaticReturnType(cty.Bool),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(test(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

// boolFold makes alltrue (all) and anytrue. An element that is null is false.
func boolFold(all bool) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
		Type:         function.StaticReturnType(cty.Bool),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			open := false // an element isn't known yet
			for it := args[0].ElementIterator(); it.Next(); {
				_, element := it.Element()
				switch {
				case !element.IsKnown():
					open = true
				case (!element.IsNull() && element.True()) != all:
					return cty.BoolVal(!all), nil
				}
			}
			if open {
				return cty.UnknownVal(cty.Bool), nil
			}
			return cty.BoolVal(all), nil
		},
	})
}

func textFunction(f func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{{Name: "string", Type: cty.String}},
		Type:         function.StaticReturnType(cty.String),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			out, err := f(args[0].AsString())
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			return cty.StringVal(out), nil
		},
	})
}

// digest is a function of the string's UTF-8 bytes.
func digest(sum func([]byte) []byte, encode func([]byte) string) function.Function {
	return textFunction(func(s string) (string, error) { return encode(sum([]byte(s))), nil })
}

func md5Sum(b []byte) []byte    { s := md5.Sum(b); return s[:] }  // #nosec G401 -- see the import
func sha1Sum(b []byte) []byte   { s := sha1.Sum(b); return s[:] } // #nosec G401 -- see the import
func sha256Sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
func sha512Sum(b []byte) []byte { s := sha512.Sum512(b); return s[:] }

func inHex(b []byte) string    { return hex.EncodeToString(b) }
func inBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func decodeBase64(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("not valid Base64")
	case !utf8.Valid(b):
		return "", fmt.Errorf("the decoded bytes are not UTF-8 text")
	}
	return string(b), nil
}

func notNull(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() }
