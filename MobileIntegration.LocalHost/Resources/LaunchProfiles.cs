using System.Text;
using System.Text.Json;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Reads and chooses launch profiles.</summary>
internal static class LaunchProfiles
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNameCaseInsensitive = true,
        AllowTrailingCommas = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
    };

    /// <summary>The profile asked for; or else the AppHost's own if the project has it, or else the project's first that launches it.</summary>
    /// <exception cref="DistributedApplicationException">The profile asked for is not among the project's.</exception>
    public static (string Name, LaunchProfile Profile)? Select(IResourceBuilder<ProjectResource> project, IProjectMetadata metadata, string? asked)
    {
        if ((metadata.LaunchSettings ?? Read(metadata)) is not { } settings)
        {
            return null;
        }

        if (asked is not null)
        {
            project.WithAnnotation(new LaunchProfileAnnotation(asked));
            return settings.Profiles.TryGetValue(asked, out var profile)
                ? (asked, profile)
                : throw new DistributedApplicationException(
                    $"'{project.Resource.Name}' has no launch profile '{asked}'; it has: {string.Join(", ", settings.Profiles.Keys)}. Name one of these, or null for none.");
        }

        var configuration = project.ApplicationBuilder.Configuration;
        var own = configuration["AppHost:DefaultLaunchProfileName"] ?? configuration["DOTNET_LAUNCH_PROFILE"];
        if (own is not null && settings.Profiles.TryGetValue(own, out var same))
        {
            project.WithAnnotation(new DefaultLaunchProfileAnnotation(own));
            return (own, same);
        }

        foreach (var (name, profile) in settings.Profiles)
        {
            if (profile.CommandName is null or "Project" or "Executable")
            {
                return (name, profile);
            }
        }

        return null;
    }

    /// <summary>Splits a command line at blanks; double quotes keep them, a backslash keeps a double quote.</summary>
    public static IReadOnlyList<string> SplitArguments(string? commandLine)
    {
        List<string> arguments = [];
        var word = new StringBuilder();
        var (quoted, started) = (false, false);
        for (var i = 0; i < commandLine?.Length; i++)
        {
            var character = commandLine[i];
            if (character == '\\' && i + 1 < commandLine.Length && commandLine[i + 1] == '"')
            {
                word.Append(commandLine[++i]);
                started = true;
            }
            else if (character == '"')
            {
                (quoted, started) = (!quoted, true);
            }
            else if (char.IsWhiteSpace(character) && !quoted)
            {
                if (started)
                {
                    arguments.Add(word.ToString());
                }

                word.Clear();
                started = false;
            }
            else
            {
                word.Append(character);
                started = true;
            }
        }

        if (started)
        {
            arguments.Add(word.ToString());
        }

        return arguments;
    }

    private static LaunchSettings? Read(IProjectMetadata metadata)
    {
        var path = Path.Combine(Path.GetDirectoryName(metadata.ProjectPath) ?? string.Empty, "Properties", "launchSettings.json");
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize<LaunchSettings>(File.ReadAllText(path), Json);
        }
        catch (JsonException malformed)
        {
            throw new DistributedApplicationException($"{path} is not valid: {malformed.Message} Correct it, or add the project with launchProfileName: null.", malformed);
        }
    }
}
