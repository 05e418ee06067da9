package learn
import ("context";"fmt";"testing";"time";"github.com/hearsight/hearsight/internal/npy";"github.com/hearsight/hearsight/internal/model";"github.com/hearsight/hearsight/internal/nn")
func TestZZ(t *testing.T) {
	for _, c := range [][4]int{{12,1200,1000,16},{12,2000,2000,16},{12,1200,2000,32}} { for _, seed := range []uint64{1,2,3} {
	rd := func(n string) *npy.Array { a, err := npy.ReadFile(fmt.Sprintf("/tmp/sc/%s%d.npy", n, c[0])); if err != nil { t.Fatal(err) }; return a }
	im, ln, mf := rd("im"), rd("len"), rd("mf")
	var clips ClipSlice; var images ImageSlice; at := 0
	var d Data; var sets [3][]Pair
	for i := range ln.F64 { n := int(ln.F64[i])*40; x := make([]float32, n); for k := range x { x[k]=float32(mf.F64[at+k]) }; at += n; clips = append(clips, x)
		p := make([]uint8, 64*64*3); for k := range p { p[k]=uint8(im.F64[i*len(p)+k]) }; images = append(images, Image{Pixels:p})
		pr := Pair{ID: fmt.Sprint(i), Photo: fmt.Sprint(i), Clip: i, Image: i}
		if i >= 300+c[2] { continue }; if i < 300 { sets[i/100] = append(sets[i/100], pr) } else { d.Train = append(d.Train, pr) } }
	d.Clips, d.Images, d.Dev = clips, images, sets[0]
	it, _ := model.ImageTower("small", model.HeadOptions{}); au, _ := model.AudioTower("small", 40)
	spec := model.Spec{Image: it, Audio: au, Height:64, Width:64, Frames:448, Length: model.LengthTrue, Similarity: nn.MISA, Scale:.25, Init: model.InitHe, Pixels: &model.PixelNorm{Center:127.5, Scale:63.75}}
	s := Paper(); s.Batch=c[3]; s.Steps=int64(c[1]); s.LearningRate=3e-3; s.Schedule=ScheduleCosine; s.Warmup=.1; s.Floor=.01; s.Normalize=NormCorpus; s.Bucket=16; s.Seed=seed; s.LogEvery=100
	t0 := time.Now()
	r, err := Train(context.Background(), spec, d, s, Options{})
	if err != nil { t.Fatal(err) }
	el := time.Since(t0)
	sc, _ := NewScorer(r.Model)
	fmt.Printf("steps %v seed %d: %.1fs loss %.3f ", c, seed, el.Seconds(), r.Curve[len(r.Curve)-1].Loss)
	for _, set := range sets { is, cs, of := Candidates(set); m, err := sc.Similarities(context.Background(), is, d.Images, cs, d.Clips); if err != nil { t.Fatal(err) }
		for _, dir := range []string{SpeechToImage, ImageToSpeech} { rk, _ := m.Ranks(dir, of); mm := Summarize(rk); fmt.Printf("| %.2f/%.2f/%.2f ", mm.P1, mm.P5, mm.P10) } }
	fmt.Println()
	}}
}
