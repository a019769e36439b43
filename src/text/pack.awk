# One file of the starter pack as a statement of the install script: other letters than ASCII become \u escapes, since the script must load in
# a database of any encoding. Run with LC_ALL=C, so that letters are bytes, and with -v topic=NAME.
BEGIN {
	for (i = 128; i < 248; i++)
		byte[sprintf("%c", i)] = i
	printf "SELECT revops.add_pack('%s', $pack$", topic
}
{
	out = ""
	while (match($0, /[\300-\377]/)) {
		b = byte[substr($0, RSTART, 1)]
		n = b < 224 ? 1 : 2
		code = b < 224 ? b - 192 : b - 224
		for (i = 1; i <= n; i++)
			code = code * 64 + byte[substr($0, RSTART + i, 1)] - 128
		out = out substr($0, 1, RSTART - 1) sprintf("\\u%04x", code)
		$0 = substr($0, RSTART + n + 1)
	}
	print out $0
}
END { print "$pack$);" }
