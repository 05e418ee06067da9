package report

// A PaperRow is a row of the paper's Table 1: scores on 100 pairs.
type PaperRow struct {
	System      string
	P1, P5, P10 float64
	Reported    bool // VGG19_GRU is named in the paper, without figures
}

// Table1 is the paper's Table 1, in its order.
var Table1 = []PaperRow{
	{"VGG16(R)", .05, .14, .30, true},
	{"VGG16_5", .07, .47, .76, true},
	{"VGG16_6", .12, .48, .74, true},
	{"VGG19(R)", .05, .14, .30, true},
	{"VGG19_5", .16, .45, .65, true},
	{"VGG19_6", .16, .46, .70, true},
	{"Resnet50(R)", .05, .12, .34, true},
	{"Resnet50_5", .01, .12, .26, true},
	{"Resnet50_6", .01, .13, .35, true},
	{"VGG19_LSTM(R)", .05, .14, .30, true},
	{"VGG19_LSTM", .01, .10, .23, true},
	{"VGG19_GRU", 0, 0, 0, false},
}

// Paper returns the paper's row for a system, or nil if it has none.
func Paper(system string) *PaperRow {
	for i := range Table1 {
		if Table1[i].System == system {
			return &Table1[i]
		}
	}
	return nil
}
