// Each script runs as one step on the server, by the server's own clock. An entry is a hash: `v` its version, `s` when it becomes stale,
// `d` its bytes in base64; a deleted key has no `d`.

const NOW = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

/**
 * Reads entries.
 *
 * - `KEYS`: the entries
 * - returns for each: its version, milliseconds until it is stale, milliseconds until it expires, its data; an empty list if it is missing
 */
export const READ = `${NOW}local found = {}
for i, key in ipairs(KEYS) do
  local e = redis.call('HMGET', key, 'v', 's', 'd')
  if e[1] then
    found[i] = { e[1], string.format('%.0f', e[2] - now), redis.call('PTTL', key), e[3] }
  else
    found[i] = {}
  end
end
return found`

/** Returns the version of each entry in `KEYS`. */
export const VERSIONS = `local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('HGET', key, 'v') end
return found`

/**
 * Writes an entry, or marks it as deleted, if its version is the expected one, and ends the claim on its load.
 *
 * - `KEYS`: the entry, the claim
 * - `ARGV`: the version to replace, `none` or `any`; the new version; milliseconds until it is stale; milliseconds until it expires; the
 *   data in base64, which is missing for a deletion
 * - returns 1 if it was written, otherwise 0
 */
export const WRITE = `${NOW}local current = redis.call('HGET', KEYS[1], 'v')
if ARGV[1] == 'none' then
  if current then return 0 end
elseif ARGV[1] ~= 'any' and current ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'v', ARGV[2], 's', string.format('%.0f', now + ARGV[3]))
if ARGV[5] then redis.call('HSET', KEYS[1], 'd', ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`

/**
 * Makes the value of an entry fresh again if its version is still the expected one.
 *
 * - `KEYS`: the entry
 * - `ARGV`: the expected version; milliseconds until it is stale; milliseconds until it expires
 * - returns 1 if it was changed, otherwise 0
 */
export const TOUCH = `${NOW}local e = redis.call('HMGET', KEYS[1], 'v', 'd')
if e[1] ~= ARGV[1] or not e[2] then return 0 end
redis.call('HSET', KEYS[1], 's', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

/**
 * Claims the load of an entry, or extends the owner's own claim.
 *
 * - `KEYS`: the claim
 * - `ARGV`: the owner; milliseconds until the claim ends
 * - returns 1 if the owner has the claim, 0 if another owner has it
 */
export const CLAIM = `local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

/** Ends the claim in `KEYS` if it belongs to the owner in `ARGV`. */
export const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

/** Deletes the entries in `KEYS`. @returns how many of them had a value */
export const CLEAR = `local count = 0
for _, key in ipairs(KEYS) do
  if redis.call('HEXISTS', key, 'd') == 1 then count = count + 1 end
  redis.call('UNLINK', key)
end
return count`
