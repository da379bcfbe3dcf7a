import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      // One file on each core; vitest's own choice leaves a core idle, half of a machine with two.
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], maxWorkers: '100%', testTimeout: 20_000, hookTimeout: 20_000 } },
      { test: { name: 'simulation', include: ['test/simulation/**/*.test.ts'], maxWorkers: '100%', testTimeout: 1_200_000 } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          // Real processes, ports and training: one file at a time, so that timeouts mean something on two cores.
          fileParallelism: false,
          sequence: { groupOrder: 1 }, // behind the other two, not beside them
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'html', 'json-summary'],
      reportsDirectory: 'coverage',
    },
  },
});
