// Owns the precompiled headers of the tests (testing.cmake); does nothing.
int main() {}
