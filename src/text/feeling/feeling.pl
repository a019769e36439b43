#!/usr/bin/perl
# Writes feeling_model.h: trains a model by revops.train() on the texts beside this script, in a database that has the extension, and prints it as
# constants of C. Nothing stays in the database. The arguments are psql's:
#
#     feeling.pl -d somewhere > src/text/feeling_model.h          or: make feeling FEELING_DB=somewhere
#
# What is trained depends on the lexicon (lexicon_en.h, lexicon_zh.h) and on what the installed extension makes of texts: after a change of
# these, build, install, run this, and build again. A restart in between is not needed: the model is not asked while it is made.
use strict;
use warnings;
use FindBin;

# few features, so that the tables stay small and the answer quick: words and neighbours that two texts have; and the lexicon's
my %kinds = (words => 2, char_min => 1, char_max => 0);
my $options = qq({"words": $kinds{words}, "pairs": false, "char_min": $kinds{char_min}, "char_max": $kinds{char_max}, "min_count": 2, "networks": 0});
my ($feeling_hash, $feelings) = (0xF3313400, 64);    # learn.h: FEELING_HASH, LEARN_FEELINGS

sub trained
{
	my $script = "\\set ON_ERROR_STOP 1\nSET client_encoding = 'UTF8';\nBEGIN;\nCREATE TEMP TABLE feeling_text (label text, kind text, text text);\n";
	$script .= "\\copy feeling_text FROM '$FindBin::Bin/$_.tsv'\n" for qw(zh en);
	$script .= "DO \$\$ BEGIN PERFORM revops.train('shipped feeling', 'classify', 'SELECT label, text FROM feeling_text', options => '$options'); END \$\$;\n"
		. "SELECT labels, encode(parameters, 'hex') FROM revops.model_version WHERE model = 'shipped feeling' ORDER BY version DESC LIMIT 1;\nROLLBACK;\n";
	my $file = ($ENV{TMPDIR} // '/tmp') . "/feeling.$$.sql";
	open my $f, '>:utf8', $file or die "$file: $!\n";
	print $f $script;
	close $f;
	open my $psql, '-|', 'psql', '-XqAt', '-F', ' ', '-f', $file, @_ or die "psql: $!\n";
	my $got = do { local $/; <$psql> };
	my $ok = close $psql;
	unlink $file;
	die "psql has failed\n" unless $ok;
	my ($labels, $hex) = $got =~ /^\{(.*)\} ([0-9a-f]+)\s*$/ or die "no model has come of it\n";
	die "the labels are $labels\n" unless $labels eq 'negative,neutral,positive';
	return pack 'H*', $hex;
}

# ModelBlob of learn.h, in the byte order of the machine, which must be the server's
sub parts
{
	my $blob = shift;
	my %m;
	@m{qw(magic crc size nlabels stride nfeatures nrows nslots networks hidden outputs nlearned mix words also char_min char_max scale threshold)} =
		unpack 'L L Q L5 L4 f l L l l f f', $blob;
	die "this is no linear model that this script can read\n" unless $m{magic} == 0x324C5652 && $m{size} == length $blob && $m{nlabels} == 3 && $m{networks} == 0;
	@m{qw(label label_text unit bias idf slot out weight)} = unpack 'x80 Q8', $blob;
	my @unit = unpack "x$m{unit} f3", $blob;
	my @bias = unpack "x$m{bias} f3", $blob;
	my @idf = unpack "x$m{idf} f$m{nfeatures}", $blob;
	my @slot = unpack "x$m{slot} L" . 2 * $m{nslots}, $blob;
	my @feature;
	for (my $s = 0; $s < @slot; $s += 2)
	{
		next unless $slot[$s + 1];
		my $f = $slot[$s + 1] - 1;
		push @feature, [ $slot[$s], $idf[$f], $f < $m{nrows} ? unpack('x' . ($m{weight} + $f * $m{stride}) . ' c3', $blob) : (0, 0, 0) ];
	}
	return (\%m, \@unit, \@bias, [ sort { $a->[0] <=> $b->[0] } @feature ]);
}

sub number { my $s = sprintf '%.9g', $_[0]; return $s =~ /[.e]/ ? $s : "$s.0" }

# The values in lines of at most 150 characters.
sub table
{
	my ($declaration, @values) = @_;
	my $line = "\t";
	print "\nstatic const $declaration = {\n";
	for (@values)
	{
		if (length($line) + length > 148)
		{
			print $line =~ s/ $//r, "\n";
			$line = "\t";
		}
		$line .= "$_, ";
	}
	print $line =~ s/,? $//r, "\n};\n";
}

my ($m, $unit, $bias, $features) = parts(trained(@ARGV));
my $n = @$features;
my $bits = 1;
$bits++ while 2**$bits < $n;
my $shift = 32 - $bits;
my @bucket = (0) x (2**$bits + 1);
$bucket[ ($_->[0] >> $shift) + 1 ]++ for @$features;
$bucket[ $_ + 1 ] += $bucket[$_] for 0 .. 2**$bits - 1;
my @say = (-1) x $feelings;
my %code;
my @idf;
for my $i (0 .. $n - 1)
{
	my ($hash, $idf) = @{ $features->[$i] };
	$say[ $hash - $feeling_hash ] = $i if $hash >= $feeling_hash && $hash < $feeling_hash + $feelings;
	next if exists $code{$idf};
	$code{$idf} = @idf;
	push @idf, $idf;
}
die "there are " . @idf . " different idf, the most is 256\n" if @idf > 256;

print <<"END";
/*
 * feeling_model.h
 *	  The model of feeling that is shipped, $n features. Made by feeling/feeling.pl of the texts beside it; not to be edited.
 */
#define MODEL_WORDS		$kinds{words}
#define MODEL_CHAR_MIN	$kinds{char_min}
#define MODEL_CHAR_MAX	$kinds{char_max}
#define MODEL_SHIFT		$shift
END
print "#define MODEL_SCALE		", number($m->{scale}), "f\n";
print "\n/* of the labels negative, neutral, positive: what a weight of 1 stands for, and what a text without features has */";
table('float model_unit[3]', map { number($_) . 'f' } @$unit);
table('float model_bias[3]', map { number($_) . 'f' } @$bias);
print "\n/* Of each number that the lexicon says, its feature; -1: none */";
table("int16 model_say[$feelings]", @say);
print "\n/* The different idf; then of each feature, which one */";
table('float model_idf[]', map { number($_) . 'f' } @idf);
table('uint8 model_idf_of[]', map { $code{ $_->[1] } } @$features);
print "\n/* Where the hashes with these first bits begin */";
table('uint16 model_bucket[]', @bucket);
table('uint32 model_hash[]', map { sprintf '0x%X', $_->[0] } @$features);
table('int8 model_weight[][3]', map { sprintf '{%d, %d, %d}', @$_[ 2 .. 4 ] } @$features);
