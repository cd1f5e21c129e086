# Charts of results/kernels.tsv: cosine_rows in three places beside what the
# machine can read, and every kernel at 768 dimensions in cache.

results = "results/kernels.tsv"

# The best rate by dimensions of one kernel and level in one place; the read
# yardstick has several lines, one for each prefetch distance.
rates(place, kernel, level) = sprintf("< awk -F'\\t' '$1 == \"%s\" && $4 == \"%s\" && $5 ~ /^%s$/ && $9 > best[$3] {best[$3] = $9} END {for (d in best) print d, best[d]}' %s | sort -n", place, kernel, level, results)

levels = system("awk -F'\\t' '$4 == \"cosine_rows\" && !seen[$5]++ {print $5}' ".results)
has_sgemv = int(system("grep -c openblas ".results))

set terminal pngcairo size 1200,480 font "sans,11"
set output "results/kernels_cosine_rows.png"
set multiplot layout 1,3 title "cosine\\_rows, one core: candidates read a second (medians)"
set logscale xy
set yrange [1:1000]
set xrange [80:2000]
set xtics (100, 384, 768, 1536)
set xlabel "dimensions"
set ylabel "GB/s"
set grid
set key bottom right
do for [place in "'8 rows' '512 rows' memory"] {
	set title place
	plot for [level in levels] rates(place, "cosine_rows", level) using 1:2 with linespoints lw 2 title level, \
		rates(place, "read only", ".*") using 1:2 with lines lw 2 dt 2 lc "black" title "read only", \
		for [i=1:(has_sgemv > 0)] rates(place, "sgemv", ".*") using 1:2 with linespoints dt 3 lc "gray50" title "OpenBLAS sgemv"
}
unset multiplot

# One line a kernel at 768 dimensions: the name, then a column a level.
by_kernel(place) = sprintf("< awk -F'\\t' '$1 == \"%s\" && $3 == 768 && $4 != \"read only\" && $4 != \"sgemv\" {if (!($4 in line)) order[++n] = $4; line[$4] = line[$4] \"\\t\" $7} END {for (i = 1; i <= n; i++) print order[i] line[order[i]]}' %s", place, results)

reset
set datafile separator "\t"
set terminal pngcairo size 1000,520 font "sans,11"
set output "results/kernels_768.png"
set title "768 dimensions, 8 rows in cache, one core (medians)"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8
set ylabel "ns a pair"
set yrange [0:*]
set grid y
set xtics rotate by -20 noenhanced
set key top right
plot for [i=1:words(levels)] by_kernel("8 rows") using (column(i + 1)):xtic(1) title word(levels, i)
