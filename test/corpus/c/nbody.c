/* nbody STEPS: five bodies, double precision with square roots; prints every bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct { double x, y, z, vx, vy, vz, mass; } Body;
static Body bodies[5] = {
  {0, 0, 0, 0, 0, 0, 39.47},
  {4.84, -1.16, -.10, .6, 2.8, -.02, .037},
  {8.34, 4.12, -.4, -1.01, 1.82, .008, .011},
  {12.89, -15.11, -.22, 1.08, .86, -.01, .0017},
  {15.37, -25.9, .17, .97, .59, -.03, .002},
};

int main(int count, char **arguments) {
  int steps = count > 1 ? atoi(arguments[1]) : 20000;
  const double dt = .001;
  for (int s = 0; s < steps; s++) {
    for (int i = 0; i < 5; i++)
      for (int j = i + 1; j < 5; j++) {
        Body *a = &bodies[i], *b = &bodies[j];
        double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
        double square = dx * dx + dy * dy + dz * dz, pull = dt / (square * sqrt(square));
        a->vx -= dx * b->mass * pull;
        a->vy -= dy * b->mass * pull;
        a->vz -= dz * b->mass * pull;
        b->vx += dx * a->mass * pull;
        b->vy += dy * a->mass * pull;
        b->vz += dz * a->mass * pull;
      }
    for (int i = 0; i < 5; i++) {
      bodies[i].x += dt * bodies[i].vx;
      bodies[i].y += dt * bodies[i].vy;
      bodies[i].z += dt * bodies[i].vz;
    }
  }
  for (int i = 0; i < 5; i++) printf("%a %a %a\n", bodies[i].x, bodies[i].y, bodies[i].z);
  return 0;
}
