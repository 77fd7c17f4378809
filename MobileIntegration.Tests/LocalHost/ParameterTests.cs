using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.LocalHost;

public sealed class ParameterTests : IDisposable
{
    private readonly TestModel _model = new("--Parameters:set-one=a", "--Parameters:set_two=b", "--Some:Key=c", "--Parameters:with-default=configured");

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Values_are_configured_and_hyphens_may_be_underscores()
    {
        Assert.Equal("a", await ValueAsync(_model.Builder.AddParameter("set-one")));
        Assert.Equal("b", await ValueAsync(_model.Builder.AddParameter("set-two")));
        Assert.Equal("c", await ValueAsync(_model.Builder.AddParameterFromConfiguration("other", "Some:Key")));
        Assert.Equal("configured", await ValueAsync(_model.Builder.AddParameter("with-default", "default")));
        Assert.Equal("default", await ValueAsync(_model.Builder.AddParameter("without", "default")));
    }

    [Fact]
    public async Task A_missing_value_is_an_error_that_says_both_ways_to_set_it()
    {
        var parameter = _model.Builder.AddParameter("api-key", secret: true);
        var missing = await Assert.ThrowsAsync<MissingParameterValueException>(() => ValueAsync(parameter));
        Assert.Equal(
            "Parameter 'api-key' has no value. Set the environment variable Parameters__api_key, or run: dotnet user-secrets set \"Parameters:api-key\" VALUE",
            missing.Message);
    }

    [Fact]
    public async Task A_missing_connection_string_is_an_error_that_says_both_ways_to_set_it()
    {
        var connection = _model.Builder.AddConnectionString("legacy");
        var missing = await Assert.ThrowsAsync<MissingParameterValueException>(async () => await connection.Resource.GetConnectionStringAsync());
        Assert.Contains("ConnectionStrings__legacy", missing.Message, StringComparison.Ordinal);
        Assert.Contains("dotnet user-secrets set \"ConnectionStrings:legacy\"", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_must_not_be_published_as_a_default() =>
        Assert.Throws<ArgumentException>(() => _model.Builder.AddParameter("key", "value", publishValueAsDefault: true, secret: true));

    [Fact]
    public async Task A_generated_password_is_kept_for_the_next_start_beside_what_the_file_held()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_model.SecretsFile)!);
        await File.WriteAllTextAsync(_model.SecretsFile, """{ "Mine": { "Own": "kept" } /* by hand */ }""");
        var password = await ValueAsync(_model.Builder.AddPostgres("pg").Resource.PasswordParameter);

        var again = new TestModel(_model.Folder, []);
        Assert.Equal(password, await ValueAsync(again.Builder.AddPostgres("pg").Resource.PasswordParameter));

        var file = JsonNode.Parse(await File.ReadAllTextAsync(_model.SecretsFile))!;
        Assert.Equal("kept", (string?)file["Mine"]!["Own"]);
        Assert.Equal(password, (string?)file["Parameters:pg-password"]);
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(_model.SecretsFile) == (UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.Equal(["secrets.json"], Directory.GetFiles(Path.GetDirectoryName(_model.SecretsFile)!).Select(Path.GetFileName).Where(name => name != ".lock"));
    }

    [Fact]
    public async Task AppHosts_that_start_at_once_agree_on_every_password()
    {
        var hosts = Enumerable.Range(0, 8).Select(_ => new TestModel(_model.Folder, [])).ToList();
        var passwords = await Task.WhenAll(hosts.Select(host => Task.Run(async () =>
            (await ValueAsync(host.Builder.AddPostgres("pg").Resource.PasswordParameter), await ValueAsync(host.Builder.AddRedis("redis").Resource.PasswordParameter!)))));
        Assert.Single(passwords.Distinct());
    }

    [Fact]
    public async Task Secrets_written_as_nested_objects_are_found()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_model.SecretsFile)!);
        await File.WriteAllTextAsync(_model.SecretsFile, """{ "Parameters": { "pg-password": "nested" } }""");
        Assert.Equal("nested", await ValueAsync(_model.Builder.AddPostgres("pg").Resource.PasswordParameter));
    }

    [Fact]
    public async Task A_damaged_secrets_file_is_left_as_it_is_and_the_start_goes_on()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_model.SecretsFile)!);
        await File.WriteAllTextAsync(_model.SecretsFile, "{ broken");
        Assert.Equal(22, (await ValueAsync(_model.Builder.AddPostgres("pg").Resource.PasswordParameter)).Length);
        Assert.Equal("{ broken", await File.ReadAllTextAsync(_model.SecretsFile));
    }

    [Fact]
    public async Task Secrets_that_cannot_be_read_as_configuration_end_the_start_with_their_path()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_model.SecretsFile)!);
        await File.WriteAllTextAsync(_model.SecretsFile, "{ broken");
        var refused = Assert.Throws<DistributedApplicationException>(() => new TestModel(_model.Folder, ["--environment=Development"]));
        Assert.Contains(_model.SecretsFile, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void User_secrets_are_configuration_in_development_below_the_command_line()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_model.SecretsFile)!);
        File.WriteAllText(_model.SecretsFile, """{ "A": "secret", "B": "secret" }""");
        var development = new TestModel(_model.Folder, ["--environment=Development", "--B=argument"]).Builder.Configuration;
        Assert.Equal(("secret", "argument"), (development["A"], development["B"]));
        Assert.Null(new TestModel(_model.Folder, ["--environment=Production"]).Builder.Configuration["A"]);
    }

    [Fact]
    public void A_generated_value_keeps_to_its_kinds_and_counts()
    {
        var generate = new GenerateParameterDefault { MinLength = 40, Upper = false, MinSpecial = 3, MinNumeric = 2 };
        for (var i = 0; i < 200; i++)
        {
            var value = generate.GetDefaultValue();
            Assert.Equal(40, value.Length);
            Assert.DoesNotContain(value, char.IsAsciiLetterUpper);
            Assert.True(value.Count("-_.{}~()*+!".Contains) >= 3);
            Assert.True(value.Count(char.IsAsciiDigit) >= 2);
            Assert.DoesNotContain(value, "ilo".Contains);
        }

        Assert.NotEqual(generate.GetDefaultValue(), generate.GetDefaultValue());
    }

    [Fact]
    public void A_generated_value_needs_a_kind_of_character() => Assert.Throws<InvalidOperationException>(
        new GenerateParameterDefault { Lower = false, Upper = false, Numeric = false, Special = false }.GetDefaultValue);

    private static Task<string> ValueAsync(IResourceBuilder<ParameterResource> parameter) => ValueAsync(parameter.Resource);

    private static async Task<string> ValueAsync(ParameterResource parameter) => (await parameter.GetValueAsync(CancellationToken.None))!;
}
