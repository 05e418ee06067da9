package nn

import "testing"

// both runs a golden case in both precisions.
func both(t *testing.T, f64 func(t *testing.T, tol float64), f32 func(t *testing.T, tol float64)) {
	t.Run("float64", func(t *testing.T) { f64(t, 1e-10) })
	t.Run("float32", func(t *testing.T) { f32(t, 1e-5) })
}

func TestConv1DGolden(t *testing.T) {
	for _, name := range []string{"k1", "k11p5", "k17p8", "k17p8_shortT", "k6s2p0", "k9s2p4"} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, tol float64) { conv1dGolden[float64](t, name, tol) },
				func(t *testing.T, tol float64) { conv1dGolden[float32](t, name, tol) })
		})
	}
}

func conv1dGolden[T Float](t *testing.T, name string, tol float64) {
	a := golden(t, "conv1d_"+name)
	g := NewGraph(NewWorkspace[T](), true)
	x := paramOf[T]("x", permuted(a["x"], 0, 2, 1))
	w := paramOf[T]("w", permuted(a["w"], 2, 1, 0))
	nodes := []*Node{g.Param(x), g.Param(w), nil}
	if a["b"] != nil {
		nodes[2] = g.Param(paramOf[T]("b", a["b"]))
	}
	y := g.Conv1D(nodes[0], nodes[1], nodes[2], Conv1D{Stride: int(a["stride"].F64[0]), Pad: int(a["pad"].F64[0])})
	m := compiled(t, g, weighted(g, y, cast[T](permuted(a["gy"], 0, 2, 1).F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), permuted(a["y"], 0, 2, 1).F64, tol)
	near(t, "gx", gradOf(t, m, 0), permuted(a["gx"], 0, 2, 1).F64, tol)
	near(t, "gw", gradOf(t, m, 1), permuted(a["gw"], 2, 1, 0).F64, tol)
	if a["b"] != nil {
		near(t, "gb", gradOf(t, m, 2), a["gb"].F64, tol)
	}
}

func TestConv2DGolden(t *testing.T) {
	for _, name := range []string{"1x1", "1x11p0x5", "1x1s2", "3x3p1", "3x3s2p1", "40x1_davenet", "7x7s2p3"} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, tol float64) { conv2dGolden[float64](t, name, tol) },
				func(t *testing.T, tol float64) { conv2dGolden[float32](t, name, tol) })
		})
	}
}

func conv2dGolden[T Float](t *testing.T, name string, tol float64) {
	a := golden(t, "conv2d_"+name)
	g := NewGraph(NewWorkspace[T](), true)
	x := g.Param(paramOf[T]("x", permuted(a["x"], 0, 2, 3, 1)))
	w := g.Param(paramOf[T]("w", permuted(a["w"], 2, 3, 1, 0)))
	var b *Node
	if a["b"] != nil {
		b = g.Param(paramOf[T]("b", a["b"]))
	}
	s, p := a["stride"].F64, a["pad"].F64
	y := g.Conv2D(x, w, b, Conv2D{StrideH: int(s[0]), StrideW: int(s[1]), PadH: int(p[0]), PadW: int(p[1])})
	m := compiled(t, g, weighted(g, y, cast[T](permuted(a["gy"], 0, 2, 3, 1).F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), permuted(a["y"], 0, 2, 3, 1).F64, tol)
	near(t, "gx", gradOf(t, m, 0), permuted(a["gx"], 0, 2, 3, 1).F64, tol)
	near(t, "gw", gradOf(t, m, 1), permuted(a["gw"], 2, 3, 1, 0).F64, tol)
	if b != nil {
		near(t, "gb", gradOf(t, m, 2), a["gb"].F64, tol)
	}
}

func TestMaxPoolGolden(t *testing.T) {
	for _, name := range []string{"maxpool_2d_1x3_even", "maxpool_2d_1x3s1x2p0x1_davenet", "maxpool_2d_2x2", "maxpool_2d_2x2_ties", "maxpool_2d_3x3s2p1", "maxpool_2d_3x3s2p1_allneg_ties"} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, tol float64) { poolGolden[float64](t, name, tol) },
				func(t *testing.T, tol float64) { poolGolden[float32](t, name, tol) })
		})
	}
	t.Run("maxpool1d_k3s2p1", func(t *testing.T) {
		both(t, pool1dGolden[float64], pool1dGolden[float32])
	})
}

func poolGolden[T Float](t *testing.T, name string, tol float64) {
	a := golden(t, name)
	g := NewGraph(NewWorkspace[T](), true)
	k, s, p := a["k"].F64, a["stride"].F64, a["pad"].F64
	y := g.MaxPool2D(g.Param(paramOf[T]("x", permuted(a["x"], 0, 2, 3, 1))),
		Pool{KH: int(k[0]), KW: int(k[1]), StrideH: int(s[0]), StrideW: int(s[1]), PadH: int(p[0]), PadW: int(p[1])})
	m := compiled(t, g, weighted(g, y, cast[T](permuted(a["gy"], 0, 2, 3, 1).F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), permuted(a["y"], 0, 2, 3, 1).F64, tol)
	near(t, "gx", gradOf(t, m, 0), permuted(a["gx"], 0, 2, 3, 1).F64, tol)
}

func pool1dGolden[T Float](t *testing.T, tol float64) {
	a := golden(t, "maxpool1d_k3s2p1")
	g := NewGraph(NewWorkspace[T](), true)
	y := g.MaxPool1D(g.Param(paramOf[T]("x", permuted(a["x"], 0, 2, 1))), 3, 2, 1)
	m := compiled(t, g, weighted(g, y, cast[T](permuted(a["gy"], 0, 2, 1).F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), permuted(a["y"], 0, 2, 1).F64, tol)
	near(t, "gx", gradOf(t, m, 0), permuted(a["gx"], 0, 2, 1).F64, tol)
}

func TestBatchNormGolden(t *testing.T) {
	for name, axes := range map[string][]int{"1d": {0, 2, 1}, "2d": {0, 2, 3, 1}, "2d_input1ch_davenet": {0, 2, 3, 1}} {
		for _, mode := range []string{"train", "eval"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				both(t, func(t *testing.T, tol float64) { normGolden[float64](t, name, mode, axes, tol) },
					func(t *testing.T, tol float64) { normGolden[float32](t, name, mode, axes, 10*tol) })
			})
		}
	}
}

func normGolden[T Float](t *testing.T, name, mode string, axes []int, tol float64) {
	a := golden(t, "batchnorm_"+name)
	g := NewGraph(NewWorkspace[T](), mode == "train")
	stats := &Stats[T]{Mean: cast[T](a["rm0"].F64), Var: cast[T](a["rv0"].F64)}
	y := g.BatchNorm(g.Param(paramOf[T]("x", permuted(a["x"], axes...))), g.Param(paramOf[T]("gamma", a["gamma"])), g.Param(paramOf[T]("beta", a["beta"])), stats)
	m := compiled(t, g, weighted(g, y, cast[T](permuted(a["gy"], axes...).F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), permuted(a["y_"+mode], axes...).F64, tol)
	near(t, "gx", gradOf(t, m, 0), permuted(a["gx_"+mode], axes...).F64, tol)
	near(t, "ggamma", gradOf(t, m, 1), a["ggamma_"+mode].F64, tol)
	near(t, "gbeta", gradOf(t, m, 2), a["gbeta_"+mode].F64, tol)
	after := map[string]string{"train": "1", "eval": "0"}[mode]
	near(t, "running mean", stats.Mean, a["rm"+after].F64, tol)
	near(t, "running variance", stats.Var, a["rv"+after].F64, tol)
}

func TestLinearGolden(t *testing.T) {
	both(t, linearGolden[float64], linearGolden[float32])
}

func linearGolden[T Float](t *testing.T, tol float64) {
	a := golden(t, "linear")
	g := NewGraph(NewWorkspace[T](), true)
	y := g.Linear(g.Param(paramOf[T]("x", a["x"])), g.Param(paramOf[T]("w", permuted(a["w"], 1, 0))), g.Param(paramOf[T]("b", a["b"])))
	m := compiled(t, g, weighted(g, y, cast[T](a["gy"].F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), a["y"].F64, tol)
	near(t, "gx", gradOf(t, m, 0), a["gx"].F64, tol)
	near(t, "gw", gradOf(t, m, 1), permuted(a["gw"], 1, 0).F64, tol)
	near(t, "gb", gradOf(t, m, 2), a["gb"].F64, tol)
}

func TestReLUGolden(t *testing.T) {
	both(t, reluGolden[float64], reluGolden[float32])
}

func reluGolden[T Float](t *testing.T, tol float64) {
	a := golden(t, "relu")
	g := NewGraph(NewWorkspace[T](), true)
	y := g.ReLU(g.Param(paramOf[T]("x", a["x"])))
	m := compiled(t, g, weighted(g, y, cast[T](a["gy"].F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), a["y"].F64, tol)
	near(t, "gx", gradOf(t, m, 0), a["gx"].F64, tol)
}

func TestL2NormGolden(t *testing.T) { both(t, l2Golden[float64], l2Golden[float32]) }

func l2Golden[T Float](t *testing.T, tol float64) {
	a := golden(t, "l2norm")
	g := NewGraph(NewWorkspace[T](), true)
	y := g.L2Norm(g.Param(paramOf[T]("x", a["x"])))
	m := compiled(t, g, weighted(g, y, cast[T](a["gy"].F64)))
	mustRun(t, m)
	near(t, "y", m.Data(y), a["y"].F64, tol)
	near(t, "gx", gradOf(t, m, 0), a["gx"].F64, tol)
}

func TestVectorAttentionGolden(t *testing.T) {
	both(t, attentionGolden[float64], attentionGolden[float32])
}

func attentionGolden[T Float](t *testing.T, tol float64) {
	a := golden(t, "vector_attention_pool")
	g := NewGraph(NewWorkspace[T](), true)
	wh, wo := permuted(a["wh"], 1, 0), permuted(a["wo"], 1, 0)
	y := g.VectorAttention(g.Param(paramOf[T]("x", a["x"])), g.Param(paramOf[T]("wh", wh)), g.Param(paramOf[T]("bh", a["bh"])),
		g.Param(paramOf[T]("wo", wo)), g.Param(paramOf[T]("bo", a["bo"])))
	m := compiled(t, g, weighted(g, y, cast[T](a["gy"].F64)))
	for range 2 {
		mustRun(t, m)
		near(t, "y", m.Data(y), a["y"].F64, tol)
		near(t, "gx", gradOf(t, m, 0), a["gx"].F64, tol)
		near(t, "gwh", gradOf(t, m, 1), permuted(a["gwh"], 1, 0).F64, tol)
		near(t, "gbh", gradOf(t, m, 2), a["gbh"].F64, tol)
		near(t, "gwo", gradOf(t, m, 3), permuted(a["gwo"], 1, 0).F64, tol)
		// The softmax does not see its own bias: rounding, against the largest of gwo.
		nearTo(t, "gbo", gradOf(t, m, 4), a["gbo"].F64, tol, largest(a["gwo"].F64))
	}
}

func TestSimilarityGolden(t *testing.T) {
	for kind, file := range map[string]string{MISA: "sim_MISA", SIMA: "sim_SIMA", SISA: "sim_SISA"} {
		t.Run(kind, func(t *testing.T) {
			both(t, func(t *testing.T, tol float64) { similarityGolden[float64](t, kind, file, tol) },
				func(t *testing.T, tol float64) { similarityGolden[float32](t, kind, file, tol) })
		})
	}
}

func similarityGolden[T Float](t *testing.T, kind, file string, tol float64) {
	a := golden(t, file)
	for _, full := range []bool{false, true} {
		g := NewGraph(NewWorkspace[T](), true)
		frames := g.Input("frames", len(a["nframes"].F64))
		s := g.Similarity(kind, g.Param(paramOf[T]("I", permuted(a["I"], 0, 2, 3, 1))), g.Param(paramOf[T]("A", permuted(a["A"], 0, 2, 1))), frames, 1)
		m := compiled(t, g, weighted(g, s, cast[T](a["gS"].F64)))
		copy(m.Data(frames), cast[T](a["nframes"].F64))
		want := "S"
		if full {
			want = "S_full"
			for i := range m.Data(frames) {
				m.Data(frames)[i] = T(a["A"].Shape[2])
			}
		}
		mustRun(t, m)
		near(t, want, m.Data(s), a[want].F64, tol)
		if !full {
			near(t, "gI", gradOf(t, m, 0), permuted(a["gI"], 0, 2, 3, 1).F64, tol)
			near(t, "gA", gradOf(t, m, 1), permuted(a["gA"], 0, 2, 1).F64, tol)
		}
	}
}

func TestChainGolden(t *testing.T) {
	both(t, chainGolden[float64], chainGolden[float32])
}

func chainGolden[T Float](t *testing.T, tol float64) {
	a := golden(t, "misa_hinge_chain")
	g := NewGraph(NewWorkspace[T](), true)
	frames := g.Input("frames", len(a["nframes"].F64))
	s := g.Similarity(MISA, g.Param(paramOf[T]("I", permuted(a["I"], 0, 2, 3, 1))), g.Param(paramOf[T]("A", permuted(a["A"], 0, 2, 1))), frames, 1)
	loss := g.Hinge(s, 1)
	m := compiled(t, g, loss)
	copy(m.Data(frames), cast[T](a["nframes"].F64))
	mustRun(t, m)
	near(t, "S", m.Data(s), a["S"].F64, tol)
	near(t, "loss", m.Data(loss), a["loss"].F64, tol)
	near(t, "gI", gradOf(t, m, 0), permuted(a["gI"], 0, 2, 3, 1).F64, tol)
	near(t, "gA", gradOf(t, m, 1), permuted(a["gA"], 0, 2, 1).F64, tol)
}

// TestSimilarityTies: of equal maxima the first place, or frame, gets all of the
// gradient.
func TestSimilarityTies(t *testing.T) {
	for kind, c := range map[string]struct{ images, audio []float32 }{
		MISA: {[]float32{0, 0, 2, 0, 0, 2}, []float32{1, 1, 1, 1}}, // places 1 and 2 both give 2
		SIMA: {[]float32{1, 1, 1, 1, 1, 1}, []float32{1, 0, 1, 0}},
	} {
		g := NewGraph(NewWorkspace[float32](), true)
		images, audio := NewParam[float32]("I", 1, 3, 2), NewParam[float32]("A", 1, 2, 2)
		copy(images.W, c.images)
		copy(audio.W, c.audio)
		frames := g.Input("frames", 1)
		s := g.Similarity(kind, g.Param(images), g.Param(audio), frames, 1)
		m := compiled(t, g, weighted(g, s, []float32{1}))
		m.Data(frames)[0] = 2
		mustRun(t, m)
		if kind == MISA {
			near(t, "image gradient", gradOf(t, m, 0), []float64{0, 0, 1, 1, 0, 0}, 1e-6)
		} else {
			near(t, "audio gradient", gradOf(t, m, 1), []float64{1, 1, 0, 0}, 1e-6)
		}
	}
}
