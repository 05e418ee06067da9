package nn

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// elsewhere are the reference cases that another package's tests read.
var elsewhere = map[string]string{"schedules": "internal/learn"}

// tested are the cases that this package's tests read.
var tested = []string{
	"batchnorm_1d", "batchnorm_2d", "batchnorm_2d_input1ch_davenet", "clip_grad_norm",
	"conv1d_k1", "conv1d_k11p5", "conv1d_k17p8", "conv1d_k17p8_shortT", "conv1d_k6s2p0", "conv1d_k9s2p4",
	"conv2d_1x1", "conv2d_1x11p0x5", "conv2d_1x1s2", "conv2d_3x3p1", "conv2d_3x3s2p1", "conv2d_40x1_davenet", "conv2d_7x7s2p3",
	"gru_1", "gru_2bi_packed", "gru_3", "l2norm", "linear", "losses", "lstm_1", "lstm_2bi_packed", "lstm_3",
	"maxpool1d_k3s2p1", "maxpool_2d_1x3_even", "maxpool_2d_1x3s1x2p0x1_davenet", "maxpool_2d_2x2", "maxpool_2d_2x2_ties",
	"maxpool_2d_3x3s2p1", "maxpool_2d_3x3s2p1_allneg_ties", "misa_hinge_chain", "optim", "relu", "sim_MISA", "sim_SIMA", "sim_SISA",
	"vector_attention_pool",
}

// TestEveryCase: no case of the reference values goes untested.
func TestEveryCase(t *testing.T) {
	raw, err := os.ReadFile(sharedtest.Path(t, "golden", "ops", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Ops map[string]json.RawMessage `json:"ops"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	for name := range index.Ops {
		if elsewhere[name] == "" && !slices.Contains(tested, name) {
			t.Errorf("case %s has no test", name)
		}
	}
	if len(index.Ops) != len(tested)+len(elsewhere) {
		t.Errorf("%d cases are said to be tested, there are %d", len(tested)+len(elsewhere), len(index.Ops))
	}
}
