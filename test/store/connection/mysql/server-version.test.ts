import { expect, it } from 'vitest'
import { featuresOf } from '../../../../src/store/connection/mysql/server-version.ts'

it.each(['8.0.36', '8.4.5-commercial', '9.4.0', '10.6.1-MariaDB', '11.8.2-MariaDB-log', '5.5.5-10.11.6-MariaDB'])(
  'accepts server version %s',
  (version) => {
    expect(featuresOf(version, 'db:3306/piko')).toEqual({ skipsLocked: true })
  },
)

it.each(['5.7.44-log', '10.5.27-MariaDB', '5.5.5-10.4.2-MariaDB', '8.0.11-TiDB-v7.5.1'])(
  'accepts server version %s, which has no SKIP LOCKED',
  (version) => {
    expect(featuresOf(version, 'db:3306/piko')).toEqual({ skipsLocked: false })
  },
)

it.each(['5.6.51', '10.2.44-MariaDB', '5.5.5-10.1.48-MariaDB', '5.5.68-MariaDB', ''])(
  'refuses server version %j',
  (version) => {
    expect(() => featuresOf(version, 'db:3306/piko')).toThrow(expect.objectContaining({ code: 'DATABASE_UNSUPPORTED' }))
  },
)
