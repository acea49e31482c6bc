/**
 * What Redis 7 says of each command: name | group | since | flags | categories | first key, last key, step | complexity | summary.
 * The test by `redis-server` holds the two together.
 */
export const documents = `
get | string | 1.0.0 | readonly fast | read string fast | 1 1 1 | O(1) | Get the value of a key
setnx | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Set the value of a key, only if the key does not exist
setex | string | 2.0.0 | write denyoom | write string slow | 1 1 1 | O(1) | Set the value and expiration of a key
psetex | string | 2.6.0 | write denyoom | write string slow | 1 1 1 | O(1) | Set the value and expiration in milliseconds of a key
getset | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Set the string value of a key and return its old value
getdel | string | 6.2.0 | write fast | write string fast | 1 1 1 | O(1) | Get the value of a key and delete the key
getrange | string | 2.4.0 | readonly | read string slow | 1 1 1 | O(N) | Get a substring of the string stored at a key
strlen | string | 2.2.0 | readonly fast | read string fast | 1 1 1 | O(1) | Get the length of the value stored in a key
set | string | 1.0.0 | write denyoom | write string slow | 1 1 1 | O(1) | Set the string value of a key
mget | string | 1.0.0 | readonly fast | read string fast | 1 -1 1 | O(N) | Get the values of all the given keys
mset | string | 1.0.1 | write denyoom | write string slow | 1 -1 2 | O(N) | Set multiple keys to multiple values
incr | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Increment the integer value of a key by one
decr | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Decrement the integer value of a key by one
incrby | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Increment the integer value of a key by the given amount
decrby | string | 1.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Decrement the integer value of a key by the given number
append | string | 2.0.0 | write denyoom fast | write string fast | 1 1 1 | O(1) | Append a value to a key
del | generic | 1.0.0 | write | keyspace write slow | 1 -1 1 | O(N) | Delete a key
unlink | generic | 4.0.0 | write fast | keyspace write fast | 1 -1 1 | O(1) | Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.
exists | generic | 1.0.0 | readonly fast | keyspace read fast | 1 -1 1 | O(N) | Determine if a key exists
expire | generic | 1.0.0 | write fast | keyspace write fast | 1 1 1 | O(1) | Set a key's time to live in seconds
pexpire | generic | 2.6.0 | write fast | keyspace write fast | 1 1 1 | O(1) | Set a key's time to live in milliseconds
expireat | generic | 1.2.0 | write fast | keyspace write fast | 1 1 1 | O(1) | Set the expiration for a key as a UNIX timestamp
pexpireat | generic | 2.6.0 | write fast | keyspace write fast | 1 1 1 | O(1) | Set the expiration for a key as a UNIX timestamp specified in milliseconds
ttl | generic | 1.0.0 | readonly fast | keyspace read fast | 1 1 1 | O(1) | Get the time to live for a key in seconds
pttl | generic | 2.6.0 | readonly fast | keyspace read fast | 1 1 1 | O(1) | Get the time to live for a key in milliseconds
persist | generic | 2.2.0 | write fast | keyspace write fast | 1 1 1 | O(1) | Remove the expiration from a key
type | generic | 1.0.0 | readonly fast | keyspace read fast | 1 1 1 | O(1) | Determine the type stored at key
keys | generic | 1.0.0 | readonly | keyspace read slow dangerous | | O(N) | Find all keys matching the given pattern
dbsize | server | 1.0.0 | readonly fast | keyspace read fast | | O(1) | Return the number of keys in the selected database
flushdb | server | 1.0.0 | write | keyspace write slow dangerous | | O(N) | Remove all keys from the current database
flushall | server | 1.0.0 | write | keyspace write slow dangerous | | O(N) | Remove all keys from all databases
lpush | list | 1.0.0 | write denyoom fast | write list fast | 1 1 1 | O(1) | Prepend one or multiple elements to a list
rpush | list | 1.0.0 | write denyoom fast | write list fast | 1 1 1 | O(1) | Append one or multiple elements to a list
lpushx | list | 2.2.0 | write denyoom fast | write list fast | 1 1 1 | O(1) | Prepend an element to a list, only if the list exists
rpushx | list | 2.2.0 | write denyoom fast | write list fast | 1 1 1 | O(1) | Append an element to a list, only if the list exists
lpop | list | 1.0.0 | write fast | write list fast | 1 1 1 | O(N) | Remove and get the first elements in a list
rpop | list | 1.0.0 | write fast | write list fast | 1 1 1 | O(N) | Remove and get the last elements in a list
llen | list | 1.0.0 | readonly fast | read list fast | 1 1 1 | O(1) | Get the length of a list
lrange | list | 1.0.0 | readonly | read list slow | 1 1 1 | O(S+N) | Get a range of elements from a list
lindex | list | 1.0.0 | readonly | read list slow | 1 1 1 | O(N) | Get an element from a list by its index
lset | list | 1.0.0 | write denyoom | write list slow | 1 1 1 | O(N) | Set the value of an element in a list by its index
linsert | list | 2.2.0 | write denyoom | write list slow | 1 1 1 | O(N) | Insert an element before or after another element in a list
lrem | list | 1.0.0 | write | write list slow | 1 1 1 | O(N+M) | Remove elements from a list
ltrim | list | 1.0.0 | write | write list slow | 1 1 1 | O(N) | Trim a list to the specified range
hset | hash | 2.0.0 | write denyoom fast | write hash fast | 1 1 1 | O(1) | Set the string value of a hash field
hmset | hash | 2.0.0 | write denyoom fast | write hash fast | 1 1 1 | O(N) | Set multiple hash fields to multiple values
hsetnx | hash | 2.0.0 | write denyoom fast | write hash fast | 1 1 1 | O(1) | Set the value of a hash field, only if the field does not exist
hincrby | hash | 2.0.0 | write denyoom fast | write hash fast | 1 1 1 | O(1) | Increment the integer value of a hash field by the given number
hget | hash | 2.0.0 | readonly fast | read hash fast | 1 1 1 | O(1) | Get the value of a hash field
hmget | hash | 2.0.0 | readonly fast | read hash fast | 1 1 1 | O(N) | Get the values of all the given hash fields
hgetall | hash | 2.0.0 | readonly | read hash slow | 1 1 1 | O(N) | Get all the fields and values in a hash
hdel | hash | 2.0.0 | write fast | write hash fast | 1 1 1 | O(N) | Delete one or more hash fields
hexists | hash | 2.0.0 | readonly fast | read hash fast | 1 1 1 | O(1) | Determine if a hash field exists
hlen | hash | 2.0.0 | readonly fast | read hash fast | 1 1 1 | O(1) | Get the number of fields in a hash
hstrlen | hash | 3.2.0 | readonly fast | read hash fast | 1 1 1 | O(1) | Get the length of the value of a hash field
hkeys | hash | 2.0.0 | readonly | read hash slow | 1 1 1 | O(N) | Get all the fields in a hash
hvals | hash | 2.0.0 | readonly | read hash slow | 1 1 1 | O(N) | Get all the values in a hash
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
