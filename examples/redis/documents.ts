/**
 * What Redis 7 says of each command: name | group | since | flags | categories | first key, last key, step | complexity | summary.
 * The test by `redis-server` holds the two together.
 */
export const documents = `
get | string | 1.0.0 | readonly fast | read string fast | 1 1 1 | O(1) | Get the value of a key
set | string | 1.0.0 | write denyoom | write string slow | 1 1 1 | O(1) | Set the string value of a key
mget | string | 1.0.0 | readonly fast | read string fast | 1 -1 1 | O(N) | Get the values of all the given keys
mset | string | 1.0.1 | write denyoom | write string slow | 1 -1 2 | O(N) | Set multiple keys to multiple values
incr | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Increment the integer value of a key by one
decr | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Decrement the integer value of a key by one
append | string | 2.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Append a value to a key
del | generic | 1.0.0 | write | keyspace write slow | 1 -1 1 | O(N) | Delete a key
exists | generic | 1.0.0 | readonly fast | keyspace read fast | 1 -1 1 | O(N) | Determine if a key exists
expire | generic | 1.0.0 | write fast | keyspace write fast | 1 1 1 | O(1) | Set a key's time to live in seconds
ttl | generic | 1.0.0 | readonly fast | keyspace read fast | 1 1 1 | O(1) | Get the time to live for a key in seconds
persist | generic | 2.2.0 | write fast | keyspace write fast | 1 1 1 | O(1) | Remove the expiration from a key
type | generic | 1.0.0 | readonly fast | keyspace read fast | 1 1 1 | O(1) | Determine the type stored at key
keys | generic | 1.0.0 | readonly | keyspace read slow dangerous | | O(N) | Find all keys matching the given pattern
dbsize | server | 1.0.0 | readonly fast | keyspace read fast | | O(1) | Return the number of keys in the selected database
flushall | server | 1.0.0 | write | keyspace write slow dangerous | | O(N) | Remove all keys from all databases
lpush | list | 1.0.0 | write denyoom fast | write list fast | 1 1 1 | O(1) | Prepend one or multiple elements to a list
rpush | list | 1.0.0 | write denyoom fast | write list fast | 1 1 1 | O(1) | Append one or multiple elements to a list
lrange | list | 1.0.0 | readonly | read list slow | 1 1 1 | O(S+N) | Get a range of elements from a list
hset | hash | 2.0.0 | write denyoom fast | write hash fast | 1 1 1 | O(1) | Set the string value of a hash field
hget | hash | 2.0.0 | readonly fast | read hash fast | 1 1 1 | O(1) | Get the value of a hash field
hgetall | hash | 2.0.0 | readonly | read hash slow | 1 1 1 | O(N) | Get all the fields and values in a hash
ping | connection | 1.0.0 | fast | fast connection | | O(1) | Ping the server
echo | connection | 1.0.0 | loading stale fast | fast connection | | O(1) | Echo the given string
hello | connection | 6.0.0 | noscript loading stale fast no_auth allow_busy | fast connection | | O(1) | Handshake with Redis
select | connection | 1.0.0 | loading stale fast | fast connection | | O(1) | Change the selected database for the current connection
quit | connection | 1.0.0 | noscript loading stale fast no_auth allow_busy | fast connection | | O(1) | Close the connection
reset | connection | 6.2.0 | noscript loading stale fast no_auth allow_busy | fast connection | | O(1) | Reset the connection
client | connection | 2.4.0 | | slow | | Depends on subcommand | A container for client connection commands
config | server | 2.0.0 | | slow | | Depends on subcommand | A container for server configuration commands
info | server | 1.0.0 | loading stale | slow dangerous | | O(1) | Get information and statistics about the server
command | server | 2.8.13 | loading stale | slow connection | | O(N) | Get array of Redis command details
subscribe | pubsub | 2.0.0 | pubsub noscript loading stale | pubsub slow | | O(N) | Listen for messages published to the given channels
psubscribe | pubsub | 2.0.0 | pubsub noscript loading stale | pubsub slow | | O(N) | Listen for messages published to channels matching the given patterns
unsubscribe | pubsub | 2.0.0 | pubsub noscript loading stale | pubsub slow | | O(N) | Stop listening for messages posted to the given channels
punsubscribe | pubsub | 2.0.0 | pubsub noscript loading stale | pubsub slow | | O(N+M) | Stop listening for messages posted to channels matching the given patterns
publish | pubsub | 2.0.0 | pubsub loading stale fast | pubsub fast | | O(N+M) | Post a message to a channel
multi | transactions | 1.2.0 | noscript loading stale fast allow_busy | fast transaction | | O(1) | Mark the start of a transaction block
exec | transactions | 1.2.0 | noscript loading stale skip_slowlog | slow transaction | | Depends on commands | Execute all commands issued after MULTI
discard | transactions | 2.0.0 | noscript loading stale fast allow_busy | fast transaction | | O(N) | Discard all commands issued after MULTI
`
