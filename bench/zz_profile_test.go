package bench

import ("testing";"os";"postern/cloud";"runtime/pprof")

func TestZZ(t *testing.T) {
	r, err := API(t.Context(), APIOptions{Requests: 60, DataPath: cloud.Userspace, Progress: func(s string){
		if s=="measuring put-subnet" { f,_:=os.Create("/tmp/speed/cpu.prof"); pprof.StartCPUProfile(f) }
		if s=="measuring put-account" { pprof.StopCPUProfile() }
	}})
	if err!=nil {t.Fatal(err)}
	r.WriteTable(os.Stdout)
}
