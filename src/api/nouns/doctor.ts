import { z } from 'zod'
import { route } from '../route.ts'

const finding = z.object({
  id: z.string().meta({ description: 'The stable name of the fault, such as `redo-log` or `schema.index`.' }),
  severity: z.enum(['error', 'warning', 'info']),
  found: z.string(),
  remedy: z.string().meta({ description: 'A command, a statement, or a line of a settings file.' }),
})
const setting = z.object({ key: z.string(), value: z.string(), origin: z.string() })

export const DOCTOR = [
  route({
    id: 'doctor.examine',
    method: 'GET',
    path: '/doctor',
    role: 'admin',
    summary: 'Examines the installation, and says what is wrong and what to do.',
    description: 'Takes up to a minute if the database is slow. Changes nothing. Secrets of the settings are masked.',
    timeoutMs: 120_000,
    answer: z.object({
      isHealthy: z.boolean().meta({ description: 'Whether there is no error and no warning.' }),
      findings: z.array(finding).meta({ description: 'The most severe first.' }),
      checks: z.array(z.object({ id: z.string(), state: z.enum(['passed', 'found', 'failed', 'skipped']) })),
      settings: z.array(setting),
    }),
    example: {
      answer: {
        isHealthy: false,
        findings: [
          {
            id: 'redo-log',
            severity: 'warning',
            found:
              'the redo log of db:3306/piko holds 48 MiB: bursts of claims wait for flushes; expected at least 64 MiB',
            remedy: 'SET PERSIST innodb_redo_log_capacity = 1073741824',
          },
        ],
        checks: [
          { id: 'redo-log', state: 'found' },
          { id: 'schema', state: 'passed' },
        ],
        settings: [{ key: 'mysql.pool_size', value: '10', origin: 'default' }],
      },
    },
  }),
] as const
