# shellcheck shell=sh
# This version and the one before it, for whatever walks between them.  Scripts
# source it in the top directory of the project, or after they have set `top` to
# that.  It sets, and exports for what they call:
#
#	ENGRAMK_NEW_VERSION	this version
#	ENGRAMK_OLD_VERSION	the one it can be taken back to: its only downgrade script says
#
# and build_old_library adds
#
#	ENGRAMK_OLD_LIBRARY	the library of that version
#	ENGRAMK_NO_OLD_LIBRARY	why there is none, in one line, or nothing

ENGRAMK_NEW_VERSION=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "${top:-.}/engramk.control")
ENGRAMK_OLD_VERSION=$(basename -s .sql "${top:-.}"/sql/downgrades/engramk--"$ENGRAMK_NEW_VERSION"--*.sql)
ENGRAMK_OLD_VERSION=${ENGRAMK_OLD_VERSION##*--}
export ENGRAMK_NEW_VERSION ENGRAMK_OLD_VERSION

# build_old_library DIRECTORY [NAME=VALUE]...: builds it there, from the commit that
# released it, with these variables.
build_old_library()
{
	directory=$1
	shift
	ENGRAMK_OLD_LIBRARY=$directory/engramk.so ENGRAMK_NO_OLD_LIBRARY=
	"${top:-.}/test/drill/build-release.sh" "$ENGRAMK_OLD_VERSION" "$directory" "$@" 2>"$directory.why" ||
		ENGRAMK_NO_OLD_LIBRARY=$(cat "$directory.why")
	rm "$directory.why"
	export ENGRAMK_OLD_LIBRARY ENGRAMK_NO_OLD_LIBRARY
}
