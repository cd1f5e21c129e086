# Chart of results/index.tsv: the time of a query against its recall, HNSW's curve
# over ef_search and engramk's point at 1, a panel for each set.

results = "results/index.tsv"
sets = int(system("cut -f1 ".results." | uniq | wc -l"))
name(i) = system(sprintf("cut -f1 %s | uniq | sed -n %dp", results, i))
of(i, contestant) = sprintf("< awk -F'\\t' '$1 == \"%s\" && $2 == \"%s\"' %s", name(i), contestant, results)

set terminal svg size 460 * sets, 360 font "sans,12" background "white"
set output "results/index.svg"
set datafile separator "\t"
set multiplot layout 1, sets
set logscale y
set xrange [0.78:1.02]
set xtics 0.05
set yrange [0.2:20]
set grid
set xlabel "recall at 10"
set key top left

do for [i=1:sets] {
	set title name(i) noenhanced
	set ylabel i == 1 ? "median, ms" : ""
	plot of(i, "hnsw") using 5:4 with linespoints lw 2 pt 7 lc rgb "#888888" title "pgvector HNSW", \
		"" using 5:4:(sprintf("%d", $3)) with labels offset -1.5,0.5 font ",10" tc rgb "#555555" \
			title "its ef\\_search", \
		of(i, "engramk") using 5:4 with points pt 5 ps 1.2 lc rgb "#c0392b" title "engramk, exact"
}
