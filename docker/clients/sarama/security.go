package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
	"kafkalab/driver/kit"
)

// What sarama wants of a program for TLS and SASL, from what can stand in a scenario:
//
//	Net.TLS.Config.RootCAs                  the name of a PEM file
//	Net.TLS.Config.Certificates             [[certificate, key], ..]: names of PEM files
//	Net.SASL.SCRAMClientGeneratorFunc       "SHA-256" or "SHA-512", by the library that sarama names
//	Net.SASL.TokenProvider                  "unsecured:NAME": an unsigned token for that principal

// secure reads a field of these; false when it is none.
func secure(field any, raw json.RawMessage) (bool, error) {
	switch field := field.(type) {
	case **x509.CertPool:
		return true, named(raw, func(file string) error {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			*field = x509.NewCertPool()
			if !(*field).AppendCertsFromPEM(text) {
				return kit.Refusef("expected certificates in PEM, found none in %s", file)
			}
			return nil
		})
	case *[]tls.Certificate:
		return true, certificates(field, raw)
	case *func() sarama.SCRAMClient:
		return true, named(raw, func(hash string) error {
			generator, has := map[string]scram.HashGeneratorFcn{
				"SHA-256": scram.SHA256, "SHA-512": scram.SHA512,
			}[hash]
			if !has {
				return kit.Refusef("expected SHA-256 or SHA-512, found '%s'", hash)
			}
			*field = func() sarama.SCRAMClient { return &scramClient{hash: generator} }
			return nil
		})
	case *sarama.AccessTokenProvider:
		return true, named(raw, func(text string) error {
			principal, is := strings.CutPrefix(text, "unsecured:")
			if !is {
				return kit.Refusef("expected unsecured:NAME, found '%s'", text)
			}
			*field = unsecured(principal)
			return nil
		})
	}
	return false, nil
}

func certificates(field *[]tls.Certificate, raw json.RawMessage) error {
	var pairs [][2]string
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return err
	}
	for _, pair := range pairs {
		loaded, err := tls.LoadX509KeyPair(pair[0], pair[1])
		if err != nil {
			return err
		}
		*field = append(*field, loaded)
	}
	return nil
}

// scramClient is the adapter that sarama asks a program for.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

func (c *scramClient) Begin(user, password, authorization string) error {
	client, err := c.hash.NewClient(user, password, authorization)
	if err != nil {
		return err
	}
	c.conversation = client.NewConversation()
	return nil
}

func (c *scramClient) Step(challenge string) (string, error) {
	return c.conversation.Step(challenge)
}

func (c *scramClient) Done() bool { return c.conversation.Done() }

// unsecured makes tokens that nobody signed, as brokers in tests take them.
type unsecured string

const tokenLife = time.Hour

func (u unsecured) Token() (*sarama.AccessToken, error) {
	now := time.Now()
	claims := fmt.Sprintf(
		`{"sub":%q,"iat":%d,"exp":%d}`, string(u), now.Unix(), now.Add(tokenLife).Unix())
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
	return &sarama.AccessToken{Token: token}, nil
}
