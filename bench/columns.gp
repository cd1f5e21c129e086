# Chart of results/columns.tsv: the time of a query by how many rows pass its filter, a
# panel for each place of these rows; HNSW with its recall.

results = "results/columns.tsv"
of(place, contestant) = sprintf("< awk -F'\\t' '$1 == \"%s\" && $3 == \"%s\"' %s", place, contestant, results)
places = "scattered beside topic far"
titles = "'scattered among others' 'beside each other' 'of another topic than the query' 'the farthest from the query'"

set terminal svg size 1180, 760 font "sans,12" background "white"
set output "results/columns.svg"
set datafile separator "\t"
set multiplot layout 2, 2 margins 0.06, 0.98, 0.08, 0.86 spacing 0.07, 0.14
set logscale xy
set format x "10^{%L}"
set yrange [0.05:1000]
set grid
set xlabel "rows that pass"

do for [i=1:4] {
	set title word(titles, i) noenhanced
	set ylabel i % 2 == 1 ? "median, ms" : ""
	if (i == 1) { set key at screen 0.5, screen 0.99 center top horizontal maxrows 2 } else { unset key }
	plot of(word(places, i), "sorted") using 2:4 with linespoints lw 1 pt 1 lc rgb "#bbbbbb" title "bitmap and sort", \
		of(word(places, i), "without") using 2:4 with linespoints lw 2 pt 6 lc rgb "#2c7fb8" title "engramk without filter columns", \
		of(word(places, i), "hnsw strict_order") using 2:4 with linespoints lw 2 pt 7 lc rgb "#555555" title "HNSW, strict order, and its recall", \
		"" using 2:4:(sprintf("%.2f", $5)) with labels offset 0,0.8 font ",9" tc rgb "#555555" notitle, \
		of(word(places, i), "hnsw relaxed_order") using 2:4 with linespoints lw 1 pt 4 lc rgb "#999999" title "HNSW, relaxed order", \
		of(word(places, i), "columns") using 2:4 with linespoints lw 2 pt 5 lc rgb "#c0392b" title "engramk with filter columns, exact"
}
