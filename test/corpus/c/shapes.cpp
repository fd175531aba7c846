// shapes: the C++ library without exceptions: containers, virtual calls, strings, algorithms.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <unordered_map>
#include <vector>

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
  virtual std::string name() const = 0;
};
struct Circle : Shape {
  double radius;
  explicit Circle(double r) : radius(r) {}
  double area() const override { return 3.141592653589793 * radius * radius; }
  std::string name() const override { return "circle"; }
};
struct Box : Shape {
  double width, height;
  Box(double w, double h) : width(w), height(h) {}
  double area() const override { return width * height; }
  std::string name() const override { return "box of " + std::to_string(width); }
};

int main() {
  std::vector<std::unique_ptr<Shape>> shapes;
  for (int i = 1; i <= 200; i++) {
    if (i % 3 == 0) shapes.push_back(std::make_unique<Circle>(i * 0.5));
    else shapes.push_back(std::make_unique<Box>(i * 0.25, 7.0 / i));
  }
  std::stable_sort(shapes.begin(), shapes.end(), [](const auto &a, const auto &b) { return a->area() < b->area(); });
  std::map<std::string, double> sums;
  std::unordered_map<std::string, int> counts;
  for (const auto &shape : shapes) {
    sums[shape->name().substr(0, 8)] += shape->area();
    counts[shape->name()]++;
  }
  for (const auto &[name, sum] : sums) std::printf("%s %.17g\n", name.c_str(), sum);
  for (const auto &[name, count] : counts)
    if (count > 1) std::printf("%s %d\n", name.c_str(), count);
  std::vector<int> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), -500);
  std::partial_sort(numbers.begin(), numbers.begin() + 5, numbers.end(), [](int a, int b) { return a * a % 97 > b * b % 97; });
  std::printf("%d %d %zu\n", numbers[0], numbers[4], shapes.size());
}
