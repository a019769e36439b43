# indent.pl TOOL OUT FILE...: FILE as pgindent lays it out goes to OUT/FILE. What pg_bsd_indent gets wrong is hidden from it: letters beyond ASCII,
# compound literals, and names that are a function or a variable here and a type elsewhere.
# The two must be the same code, token by token, strings, comments and directives included, and else the file is refused: so it compiles to the same.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path);

my ($tool, $out, @files) = @ARGV;
my $string = qr/"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'/s;
my $comment = qr!/\*.*?\*/!s;
my $failed = 0;

sub read_file
{
	open(my $in, '<:raw', $_[0]) or die "$_[0]: $!\n";
	local $/;
	return <$in>;
}

sub write_file
{
	make_path(dirname($_[0]));
	open(my $to, '>:raw', $_[0]) or die "$_[0]: $!\n";
	print $to $_[1];
	close($to) or die "$_[0]: $!\n";
}

# What the compiler sees, and the words of comments, one a line: layout makes no difference to it. A directive is one with its end
sub tokens
{
	my ($text) = @_;
	my @t;
	my $directive = 0;

	pos($text) = 0;
	while ($text =~ m{\G(?:[ \t\r\f]+|\\\n|(\n)|($comment)|($string|\w+|\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|[-+*/%&|^=!<>]=|&&|\|\||\#\#|[^\s\w]))}gc)
	{
		if (defined $3)
		{
			$directive ||= $3 eq '#';
			push @t, $3;
		}
		elsif (defined $2)
		{
			# lines of a comment may begin with a star each
			push @t, grep { $_ ne '*' } split ' ', $2;
		}
		elsif (defined $1 && $directive)
		{
			push @t, 'end of the directive';
			$directive = 0;
		}
	}
	die "there is what is no C, at byte " . pos($text) . "\n" if pos($text) != length($text);
	return join "\n", @t;
}

# The names of the types that a file's code defines
sub types
{
	my ($code) = @_;

	return ($code =~ /^typedef\s+(?:struct|union|enum)\b[^;{]*\{.*?^\}\s*(\w+);/msg, $code =~ /^typedef\b[^{}();]*?(\w+)(?:\[\w*\])?;/mg,
		$code =~ /^typedef\b[^;{}]*?\(\s*\*?\s*(\w+)\)\s*\(/mg);
}

my %type = map { $_ => 1 } split /\n/, read_file('tools/typedefs.list');
my (%source, %letters, %renamed);
$tool = abs_path($tool);
for my $file (@files)
{
	$source{$file} = read_file($file);
	$type{$_} = 1 for types($source{$file} =~ s/$comment|$string//gr);
}

for my $file (@files)
{
	my $hidden = $source{$file};
	my $code = $hidden =~ s/$comment|$string//gr;
	my @letters;

	# a name that is no type here, by one that is none anywhere: "$" can be part of a name
	my %other = map { $_ => 1 } grep { $type{$_} } $code =~ /\b([A-Z]\w*)\(/g;
	$code =~ /\b$_\b(?!\s*\*)/ and $other{$_} = 1 for qw(text date interval timestamp);
	delete $other{$_} for types($code);
	$hidden =~ s{($comment|$string)|\b([A-Za-z])(\w*)\b}{$1 // ($other{"$2$3"} ? '$' . $3 : "$2$3")}ge;
	$renamed{$file} = { map { '$' . substr($_, 1) => $_ } keys %other };
	# (Type) {...} as a call, which is laid out as an expression
	$hidden =~ s/(\((?:const |struct )*\w+(?: \**)?(?:\[\w*\])?\)) (\{((?:$comment|$string|[^{}"']|(?2))*+)\})/$1 \$($3)/g;
	# letters beyond ASCII by ones as wide as they are on the screen
	$hidden =~ s/([\xC0-\xFF][\x80-\xBF]+)/push @letters, $1; length($1) > 2 ? "\x01\x02" : "\x01"/ge;
	$letters{$file} = \@letters;
	write_file("$out/$file", $hidden);
}

write_file("$out/types", join("\n", sort keys %type) . "\n");
# it makes its files where it is
system("cd '$out' && perl '$tool/root/usr/lib/postgresql/17/bin/pgindent' --typedefs=types --indent='$tool/pg_bsd_indent' @files 2>messages") == 0 or
	die "pgindent failed:\n" . read_file("$out/messages");
my %unread = map { $_ => 1 } read_file("$out/messages") =~ /^Failure in (\S+):/mg;
print STDERR read_file("$out/messages");

for my $file (@files)
{
	my $done = read_file("$out/$file");
	my $letters = $letters{$file};

	$done =~ s/\x01\x02?/shift @$letters/ge;
	$done =~ s/\) ?\$(\(((?:$comment|$string|[^()"']|(?1))*+)\))/) {$2}/g;
	$done =~ s{($comment|$string)|(\$\w+)}{$1 // $renamed{$file}{$2} // $2}ge;
	# designated initializers; the star of a function's type, and of "text", which is the name of something too
	$done =~ s{($comment|$string)|,\.(?=[a-z_]\w* = )}{$1 // ', .'}ge;
	$done =~ s/\btext \* (?=\w+[,()])/text */g;
	$done =~ s/^((?:static |const |struct |extern |inline )*[A-Za-z_]\w*)[ \t]+(\*+)$/$1 $2/mg;
	if (!$unread{$file} && @$letters == 0 && eval { tokens($source{$file}) eq tokens($done) })
	{
		write_file("$out/$file", $done);
		next;
	}
	print STDERR "$file is left as it is: " . ($unread{$file} ? 'pgindent cannot read all of it' : 'pgindent would change more than the layout') . "\n";
	unlink "$out/$file";
	$failed = 1;
}
exit $failed;
