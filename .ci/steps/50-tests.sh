# Exactly the test command that the README gives.
test_command=$(sed -n '/<!-- command 2 -->/,/<!-- end -->/p' README.md | sed -n '/^```/,/^```/p' | grep -v '^```') || true
if [ -z "$test_command" ]; then
    echo "README.md has no test command between <!-- command 2 --> and <!-- end -->"
    exit 1
fi
echo "$test_command"
eval "$test_command"
