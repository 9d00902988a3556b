import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { findProgram } from '../support/mysql-server.ts'
import { peerRoutes } from './peer-routes.ts'
import { serving } from './support.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))

const SCRIPT = `
import hashlib, json, os, sys
from client import Link
link = Link("127.0.0.1", int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
head, body = link.request("/test/echo", json.dumps({"ö": [1, None]}).encode())
print(json.loads(body) == {"ö": [1, None]})
data = bytes(range(256)) * 20000
head, body = link.request("/test/hash", data, "raw")
print(json.loads(body) == hashlib.sha256(data).hexdigest())
head, body = link.request("/test/count", b"1000")
print(head["type"], sum(json.loads(line) for line in body.splitlines()))
data = os.urandom(3000000)
head, body = link.request("/test/echo", data, "raw")
print(head["type"], body == data)
head, body = link.request("/test/none", b"")
print(head["status"], json.loads(body)["code"])
`

describe('a client in Python that was written from the specification', () => {
  it('has at most 100 lines', () => {
    expect(
      readFileSync(new URL('client.py', import.meta.url), 'utf8')
        .trimEnd()
        .split('\n').length,
    ).toBeLessThanOrEqual(100)
  })

  it.skipIf(findProgram('python3') === undefined)('calls, uploads and reads streams, also with a secret', async () => {
    const secret = 'a secret of sixteen characters'
    for (const options of [{}, { secret }]) {
      const server = await serving({ ...options, routes: [peerRoutes()] })
      const port = (server.url ?? '').split(':').at(-1) ?? ''
      const args = ['-c', SCRIPT, port, ...('secret' in options ? [secret] : [])]
      const { stdout } = await promisify(execFile)('python3', args, { cwd: folder })
      expect(stdout.trim().split('\n')).toEqual(['True', 'True', 'lines 499500', 'raw True', '404 LINK_NO_ROUTE'])
    }
  })
})
