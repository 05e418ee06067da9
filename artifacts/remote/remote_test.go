package remote_test

import (
	"path/filepath"
	"testing"

	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/artifacts/remotetest"
)

func folder(t *testing.T) remote.Remote {
	t.Helper()
	f, err := remote.OpenFolder(filepath.Join(t.TempDir(), "remote"), true)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFolder(t *testing.T) { remotetest.Suite(t, folder) }

func TestSlowFolder(t *testing.T) { remotetest.Time(t, folder) }
