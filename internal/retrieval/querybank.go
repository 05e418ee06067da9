package retrieval

import (
	"fmt"
	"math"
)

// LessHubs takes away from each similarity what its photo has to all captions,
// and its caption to all photos, as a bank tells: captions and photos that are
// not scored, such as some of those that a model has learnt from. photos has the
// similarities of m's photos with the bank's captions, captions those of the
// bank's photos with m's captions; both are nearer the nearest the larger beta
// is:
//
//	S[i][j] - log(mean over bank b of exp(beta photos[i][b]))/beta
//	        - log(mean over bank b of exp(beta captions[b][j]))/beta
//
// In high dimensions some photos (hubs) are near to all captions, and stand
// before the right one. A query's own term is the same for all candidates, so
// that captions are ranked as by querybank normalisation (Bogolin et al., CVPR
// 2022), the inverted softmax of Smith et al. (ICLR 2017) over a bank, and photos
// as by that the other way round. No score depends on what else is scored.
func (m Matrix) LessHubs(photos, captions Matrix, beta float64) error {
	if photos.Images != m.Images || captions.Clips != m.Clips || photos.Clips == 0 || captions.Images == 0 {
		return fmt.Errorf("bank of %dx%d and %dx%d for %d photos and %d captions", photos.Images, photos.Clips, captions.Images, captions.Clips, m.Images, m.Clips)
	}
	ofCaption := make([]float64, m.Clips)
	column := make([]float64, captions.Images)
	for j := range m.Clips {
		for b := range captions.Images {
			column[b] = captions.S[b*captions.Clips+j]
		}
		ofCaption[j] = softMax(column, beta)
	}
	for i := range m.Images {
		ofPhoto := softMax(photos.S[i*photos.Clips:][:photos.Clips], beta)
		for j := range m.Clips {
			m.S[i*m.Clips+j] -= ofPhoto + ofCaption[j]
		}
	}
	return nil
}

// softMax is log(mean(exp(beta x)))/beta: between the mean of x and the largest.
func softMax(x []float64, beta float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(beta * (v - top))
	}
	return top + math.Log(sum/float64(len(x)))/beta
}
