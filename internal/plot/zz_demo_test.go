package plot
import ("testing";"os";"math")
func TestDemo(t *testing.T){
 var c Chart
 c.Title="Training loss";c.XLabel="epoch";c.YLabel="loss"
 for k:=range 3 { var s Series; s.Name=[]string{"paper","hearsight","small & fast"}[k]
  for i:=0;i<3000;i++{ s.X=append(s.X,float64(i)/100); s.Y=append(s.Y,2/(1+float64(i)/300*float64(k+1))+0.1*math.Abs(math.Sin(float64(i*i))))}
  c.Series=append(c.Series,s)}
 f,_:=os.Create("/tmp/plotdemo/loss.svg");if e:=SVG(f,c);e!=nil{t.Fatal(e)};f.Close()
 c.Title="P@10, speech to image"; c.YLabel="P@10";z,o:=0.0,1.0;c.YMin=&z;c.YMax=&o
 for k:=range c.Series{ s:=&c.Series[k]; s.X=nil;s.Y=nil; for i:=0;i<12;i++{ s.X=append(s.X,float64(i));y:=1-1/(1+float64(i)*.3*float64(k+1)); if i==5&&k==1{y=math.NaN()};s.Y=append(s.Y,y)}}
 f,_=os.Create("/tmp/plotdemo/p.svg");SVG(f,c);f.Close()
 v:=make([]float64,200*40); for i:=range 200{for j:=range 40{v[i*40+j]=math.Sin(float64(i)/15)*math.Cos(float64(j)/6)+float64(j)/40}}
 v[505]=math.NaN()
 f,_=os.Create("/tmp/plotdemo/h.png");HeatMap(f,40,200,Upright(200,40,v),HeatOptions{Scale:4});f.Close()
 w:=make([]float32,40000);for i:=range w{w[i]=float32(math.Sin(float64(i)*.31+float64(i*i%97))*math.Exp(-math.Pow(float64(i%10000-4000)/2500,2))*(0.3+float64(i)/40000*0.72))}
 f,_=os.Create("/tmp/plotdemo/w.png");Waveform(f,w,0,0);f.Close()
 Terminal(os.Stdout,40,200,Upright(200,40,v),70,12,false)
}
