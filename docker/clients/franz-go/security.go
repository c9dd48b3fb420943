package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"kafkalab/driver/kit"
)

// What kgo wants of a program for TLS and SASL, from what can stand in a scenario:
//
//	DialTLSConfig  {"RootCAs": PEM file, "Certificates": [[certificate, key], ..]: PEM files,
//	               "ServerName": name, "InsecureSkipVerify": bool}: fields of tls.Config
//	SASL           [{mechanism: its Auth}, ..]; mechanisms by their packages in pkg/sasl:
//	               "plain": {"User", "Pass"}, "scram.Sha256", "scram.Sha512": {"User", "Pass"},
//	               "oauth": {"Token"}, or {"Token": "unsecured:NAME"}, an unsigned one for NAME

// secure reads an argument of these types; false when it is none.
func secure(target any, raw json.RawMessage) (bool, error) {
	switch target := target.(type) {
	case **tls.Config:
		config, err := tlsConfig(raw)
		*target = config
		return true, err
	case *sasl.Mechanism:
		mechanism, err := saslMechanism(raw)
		*target = mechanism
		return true, err
	}
	return false, nil
}

// strictly reads JSON and refuses what the target does not have.
func strictly(raw json.RawMessage, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	return decoder.Decode(target)
}

func tlsConfig(raw json.RawMessage) (*tls.Config, error) {
	var given struct {
		RootCAs, ServerName string
		Certificates        [][2]string
		InsecureSkipVerify  bool
	}
	if err := strictly(raw, &given); err != nil {
		return nil, err
	}
	config := &tls.Config{
		ServerName: given.ServerName, InsecureSkipVerify: given.InsecureSkipVerify,
	}
	if given.RootCAs != "" {
		text, err := os.ReadFile(given.RootCAs)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, kit.Refusef("expected certificates in PEM, found none in %s", given.RootCAs)
		}
	}
	for _, pair := range given.Certificates {
		loaded, err := tls.LoadX509KeyPair(pair[0], pair[1])
		if err != nil {
			return nil, err
		}
		config.Certificates = append(config.Certificates, loaded)
	}
	return config, nil
}

func saslMechanism(raw json.RawMessage) (sasl.Mechanism, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, err
	}
	for name, auth := range given {
		if len(given) > 1 {
			break
		}
		var user struct{ Zid, User, Pass string }
		var token struct{ Zid, Token string }
		switch name {
		case "plain":
			err := strictly(auth, &user)
			return plain.Auth{Zid: user.Zid, User: user.User, Pass: user.Pass}.AsMechanism(), err
		case "scram.Sha256":
			err := strictly(auth, &user)
			made := scram.Auth{Zid: user.Zid, User: user.User, Pass: user.Pass}
			return made.AsSha256Mechanism(), err
		case "scram.Sha512":
			err := strictly(auth, &user)
			made := scram.Auth{Zid: user.Zid, User: user.User, Pass: user.Pass}
			return made.AsSha512Mechanism(), err
		case "oauth":
			err := strictly(auth, &token)
			return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
				return oauth.Auth{Zid: token.Zid, Token: unsecured(token.Token)}, nil
			}), err
		}
	}
	return nil, kit.Refusef(
		"expected an object with one of oauth, plain, scram.Sha256, scram.Sha512, found %s", raw)
}

const tokenLife = time.Hour

// unsecured makes a token that nobody signed, as brokers in tests take them, of "unsecured:NAME".
func unsecured(token string) string {
	principal, is := strings.CutPrefix(token, "unsecured:")
	if !is {
		return token
	}
	now := time.Now()
	claims := fmt.Sprintf(
		`{"sub":%q,"iat":%d,"exp":%d}`, principal, now.Unix(), now.Add(tokenLife).Unix())
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
}
