import { defineConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** The tests on a cluster of servers, apart from the others: it takes a minute to start. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ['test/cluster/**/*.test.ts'], exclude: [], globalSetup: [] },
})
