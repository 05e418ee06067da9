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

// A tableRow is a row of the page's table: a system on a set of pairs beside the
// paper's figures, or a row of the paper that was not run.
type tableRow struct {
	System *System   // nil: not run
	Paper  *PaperRow // nil: not of the paper, or another set than its
}

// tableRows are the rows of the page's table. Where a system is the paper's, all
// of the paper's stand there, in its order, those that were not run too; what is
// not the paper's comes after them.
func tableRows(systems []System) (out []tableRow) {
	if !anyPaper(systems) {
		for i := range systems {
			out = append(out, tableRow{System: &systems[i]})
		}
		return out
	}
	for i := range Table1 {
		row, ran := &Table1[i], false
		for k := range systems {
			if s := &systems[k]; s.Name == row.System {
				r := tableRow{System: s}
				if s.Main {
					r.Paper, ran = row, true
				}
				out = append(out, r)
			}
		}
		if !ran {
			out = append(out, tableRow{Paper: row})
		}
	}
	for k := range systems {
		if Paper(systems[k].Name) == nil {
			out = append(out, tableRow{System: &systems[k]})
		}
	}
	return out
}
