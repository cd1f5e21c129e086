# Chart of results/growth.tsv: build, size and query over the number of vectors.

results = "results/growth.tsv"

set terminal svg size 920, 340 font "sans,12" background "white"
set output "results/growth.svg"
set multiplot layout 1, 3
set logscale xy
set format x "10^{%L}"
set grid
set xlabel "vectors x 128"
set key top left

set ylabel "ms"
set title "query, top 10"
plot results using 1:5 with linespoints lw 2 pt 7 lc rgb "#c0392b" title "one process", \
	"" using 1:6 with linespoints lw 2 pt 6 lc rgb "#2c7fb8" title "two", \
	"" using 1:7 with linespoints lw 2 pt 4 lc rgb "#7fcdbb" title "four"

set ylabel "s"
set title "build, and VACUUM of 1% dead"
plot results using 1:2 with linespoints lw 2 pt 7 lc rgb "#c0392b" title "build", \
	"" using 1:9 with linespoints lw 2 pt 6 lc rgb "#2c7fb8" title "VACUUM"

set ylabel "MB"
set title "size"
plot results using 1:3 with linespoints lw 2 pt 7 lc rgb "#c0392b" title "index"
