import { expect, it } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'

it.each([':memory:', ' :MEMORY:', ':memory:?cache=shared'])(
  'a node refuses the in-memory database %s, and says what to use',
  async (path) => {
    const settings = { piko: { log_level: 'silent' }, mysql: { dsn: '' }, sqlite: { path } }
    const app = new Piko({ jobs: defineJob({ id: 'job' }, () => {}), settings })
    await expect(app.start()).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringContaining('use a file in a temporary folder') as string,
    })
  },
)
