# Chart of results/index.tsv: the time of a query against its recall, HNSW's curve
# over ef_search and engramk's point at 1, a panel for each set.

results = "results/index.tsv"
sets = system("cut -f1 ".results." | uniq")

set terminal svg size 460 * words(sets), 380 font "sans,12" background "white"
set output "results/index.svg"
set datafile separator "\t"
set multiplot layout 1, words(sets)
set logscale y
set xrange [*:1.005]
set yrange [0.3:*]
set grid
set xlabel "recall at 10"
set key top left
of(set, contestant) = "< awk -F'\\t' '$1 == \"".set."\" && $2 == \"".contestant."\"' ".results

do for [i=1:words(sets)] {
	set title word(sets, i) noenhanced
	set ylabel i == 1 ? "median, ms" : ""
	plot of(word(sets, i), "hnsw") using 5:4 with linespoints lw 2 pt 7 lc rgb "#888888" title "pgvector HNSW", \
		"" using 5:4:(sprintf("ef %d", $3)) with labels offset 0,-1 font ",10" notitle, \
		of(word(sets, i), "engramk") using 5:4 with points pt 5 ps 1.5 lc rgb "#c0392b" title "engramk, exact"
}
