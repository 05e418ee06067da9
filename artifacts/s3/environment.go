package s3

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"gopkg.in/ini.v1"
)

// profile returns the profile's section of the shared configuration file, which
// may be missing.
func profile(getenv func(string) string) *ini.Section {
	file := getenv("AWS_CONFIG_FILE")
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil
		}
		file = filepath.Join(home, ".aws", "config")
	}
	f, err := ini.Load(file)
	if err != nil {
		return nil
	}
	name := getenv("AWS_PROFILE")
	if name == "" || name == "default" {
		return f.Section("default")
	}
	return f.Section("profile " + name)
}

// setting is the first of some variables that is set, or a key of the profile.
func setting(getenv func(string) string, key string, names ...string) string {
	for _, n := range names {
		if v := getenv(n); v != "" {
			return v
		}
	}
	if s := profile(getenv); s != nil {
		return s.Key(key).String()
	}
	return ""
}

func region(getenv func(string) string) string {
	return setting(getenv, "region", "AWS_REGION", "AWS_DEFAULT_REGION")
}

// endpointOf returns the server's host and port, and whether TLS is spoken.
func endpointOf(getenv func(string) string) (host string, secure bool, err error) {
	raw := setting(getenv, "endpoint_url", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
	if raw == "" {
		return "s3.amazonaws.com", true, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", false, errors.New("AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL: want http://HOST:PORT or https://HOST")
	}
	if u.User != nil || u.Path != "" && u.Path != "/" {
		return "", false, fmt.Errorf("AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL: want %s://%s alone", u.Scheme, u.Host)
	}
	return u.Host, u.Scheme == "https", nil
}

// remoteIdentity are the variables that say that credentials come over the
// network. Without one of them it is not asked for any: on a machine that is
// not Amazon's that would only take time.
var remoteIdentity = []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}

func providers(getenv func(string) string) []credentials.Provider {
	all := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	for _, name := range remoteIdentity {
		if getenv(name) != "" {
			return append(all, &credentials.IAM{})
		}
	}
	return all
}
