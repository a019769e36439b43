# A throw-away ClickHouse server, for comparisons. ClickHouse::start($dir) gives a function that runs a query, or undef where none is installed.
package ClickHouse;
use strict;
use warnings;
use IO::Socket::INET;
use Time::HiRes qw(sleep);

my $pid;

sub binary
{
	my ($name) = @_;
	for my $dir (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/bin') { return "$dir/$name" if -x "$dir/$name"; }
	return undef;
}

sub free_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or return undef;
	return $socket->sockport;
}

sub start
{
	my ($dir) = @_;
	my ($server, $client) = (binary('clickhouse-server'), binary('clickhouse-client'));
	return undef unless $server && $client;
	my ($http, $tcp) = (free_port(), free_port());
	open my $config, '>', "$dir/config.xml" or die $!;
	print $config qq{<yandex><logger><level>error</level><log>$dir/log</log><errorlog>$dir/errors</errorlog></logger>
<http_port>$http</http_port><tcp_port>$tcp</tcp_port><listen_host>127.0.0.1</listen_host><path>$dir/data/</path><tmp_path>$dir/tmp/</tmp_path>
<mark_cache_size>67108864</mark_cache_size><timezone>UTC</timezone><users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database></yandex>\n};
	close $config;
	open my $users, '>', "$dir/users.xml" or die $!;
	print $users qq{<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password></password>
<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>\n};
	close $users;
	$pid = fork() // die $!;
	if ($pid == 0)
	{
		open STDOUT, '>', "$dir/out";
		open STDERR, '>&', \*STDOUT;
		exec $server, "--config-file=$dir/config.xml" or exit 1;
	}
	my $query = sub {
		my ($sql, $input) = @_;
		open my $f, '>', "$dir/query" or die $!;
		print $f $sql;
		close $f;
		$input //= '/dev/null';
		my $out = `$client --port $tcp --query "\$(cat $dir/query)" < $input 2>$dir/client`;
		return $? == 0 ? $out =~ s/\n\z//r : undef;
	};
	for (1 .. 100)
	{
		return $query if defined $query->('SELECT 1');
		sleep 0.1;
	}
	stop();
	return undef;
}

sub stop
{
	return unless $pid;
	my $status = $?;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	$pid = undef;
	$? = $status;
}

END { stop(); }

1;
