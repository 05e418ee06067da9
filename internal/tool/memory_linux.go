package tool

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// memoryTick is how often a command's memory is looked at. Memory is filled at
// one or two gigabytes a second at most, so 50 MB a tick.
const memoryTick = 25 * time.Millisecond

// watchMemory calls over, once, when the process and all that came from it use
// more than limit bytes together, and returns then or when quit is closed.
func watchMemory(pid int, limit int64, quit <-chan struct{}, over func(used int64)) {
	t := time.NewTicker(memoryTick)
	defer t.Stop()
	for {
		select {
		case <-quit:
			return
		case <-t.C:
		}
		if used := memoryOf(pid, limit); used > limit {
			over(used)
			return
		}
	}
}

// memoryOf returns the bytes that a process and its descendants have in memory.
// Pages that several of them share count once, which is slow to find out and so
// left out as long as they do not come to the limit otherwise.
func memoryOf(pid int, limit int64) (used int64) {
	all := append([]int{pid}, descendantsOf(pid)...)
	for _, p := range all {
		used += residentOf(p)
	}
	if used <= limit {
		return used
	}
	used = 0
	for _, p := range all {
		used += shareOf(p)
	}
	return used
}

// residentOf returns a process's pages in memory, in bytes; 0 if it is gone.
func residentOf(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), " ")
	pages, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(pages, 10, 64)
	if err != nil {
		return 0
	}
	return n * int64(os.Getpagesize())
}

// shareOf returns a process's share of the pages in memory: a page that n
// processes have mapped counts for 1/n.
func shareOf(pid int) int64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return residentOf(pid)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "Pss:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			if err == nil {
				return kb << 10
			}
		}
	}
	return residentOf(pid)
}
