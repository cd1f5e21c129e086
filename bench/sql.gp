# Charts of results/sql.tsv: the nearest 10 for each storage mode, and what a
# cosine costs by each way to write it.

results = "results/sql.tsv"

set terminal pngcairo size 1000,520 font "sans,11"
set output "results/sql_nearest.png"

# One line a storage mode: its name, then a column a contestant.
nearest = "< awk -F'\\t' '$1 != \"candidates\" {if (!($1 in line)) order[++n] = $1; line[$1] = line[$1] \"\\t\" $3} END {for (i = 1; i <= n; i++) print order[i] line[order[i]]}' ".results
contestants = int(system("awk -F'\\t' '$1 != \"candidates\" && !seen[$2]++ {n++} END {print n}' ".results))
name(i) = system(sprintf("awk -F'\\t' '$1 != \"candidates\" && !seen[$2]++ && ++n == %d {print $2}' %s", i, results))

set datafile separator "\t"
set title "The nearest 10 by <=>, sequential scan, one process (medians)"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8
set ylabel "ms"
set xlabel "storage mode of the column"
set yrange [0:*]
set grid y
set key outside bottom center horizontal
plot for [i=1:contestants] nearest using (column(i + 1)):xtic(1) title name(i)

reset
set datafile separator "\t"
set output "results/sql_candidates.png"
candidates = "< awk -F'\\t' '$1 == \"candidates\" && $2 !~ / queries$/' ".results
set title "One query and 1,000 candidates (medians, round trip included)"
set style fill solid 0.8
set boxwidth 0.6
set logscale y
set ylabel "ms"
set grid y
set xtics rotate by -15 noenhanced
set yrange [0.1:200]
unset key
plot candidates using 0:3:xtic(2) with boxes, "" using 0:3:(sprintf("%.2f", $3)) with labels offset 0,0.7
