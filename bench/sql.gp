# Charts of results/sql.tsv: the nearest 10 for each storage mode, and what a
# cosine costs by each way to write it.

results = "results/sql.tsv"

set terminal pngcairo size 1000,520 font "sans,11"
set output "results/sql_nearest.png"

# One line a storage mode and layout of the blocks: its name, then a column a contestant.
nearest = "< awk -F'\\t' '$1 != \"candidates\" {mode = $1 \", \" $2; if (!(mode in line)) order[++n] = mode; line[mode] = line[mode] \"\\t\" $4} END {for (i = 1; i <= n; i++) print order[i] line[order[i]]}' ".results
contestants = int(system("awk -F'\\t' '$1 != \"candidates\" && !seen[$3]++ {n++} END {print n}' ".results))
name(i) = system(sprintf("awk -F'\\t' '$1 != \"candidates\" && !seen[$3]++ && ++n == %d {print $3}' %s", i, results))

set datafile separator "\t"
set title "The nearest 10 by <=>, sequential scan, one process (medians)"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8
set ylabel "ms"
set xlabel "storage mode of the column, blocks in shared\\_buffers"
set yrange [0:*]
set grid y
set xtics rotate by -15
set key outside bottom center horizontal
plot for [i=1:contestants] nearest using (column(i + 1)):xtic(1) title name(i)

reset
set datafile separator "\t"
set output "results/sql_candidates.png"
candidates = "< awk -F'\\t' '$1 == \"candidates\" && $3 !~ / queries$/' ".results
set title "One query and 1,000 candidates (medians, round trip included)"
set style fill solid 0.8
set boxwidth 0.6
set logscale y
set ylabel "ms"
set grid y
set xtics rotate by -15 noenhanced
set yrange [0.1:200]
unset key
plot candidates using 0:4:xtic(3) with boxes, "" using 0:4:(sprintf("%.2f", $4)) with labels offset 0,0.7
