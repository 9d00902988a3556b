import { readdir, readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'

it('docs/doctor.md lists every finding with its severities, and no other', async () => {
  const folder = new URL('../../../src/operations/doctor/checks/', import.meta.url)
  const files = await readdir(folder)
  const texts = await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')))
  const ids = texts.flatMap((text) =>
    [...text.matchAll(/id: (?:'([a-z.-]+)'|`schema\.\$\{kind\}`),\s+severity/g)].flatMap(([, id]) =>
      id === undefined ? ['schema.table', 'schema.column', 'schema.index'] : [id],
    ),
  )
  const page = await readFile(new URL('../../../docs/doctor.md', import.meta.url), 'utf8')
  const listed = [...page.matchAll(/^\| `([a-z.-]+)` +\| (?:(?:error|warning|info)(?:, )?)+ +\|/gm)].map(([, id]) => id)
  expect(ids.length).toBeGreaterThan(40)
  expect(listed.filter((id) => id !== 'connectivity.failed').sort()).toEqual([...new Set(ids)].sort())
})
